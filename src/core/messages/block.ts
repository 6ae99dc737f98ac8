import { z } from 'zod';

/** ISO-8601 instant in UTC, e.g. `2026-11-20T10:00:00.000Z`. */
export const Timestamp = z.iso.datetime();

/** Free-form annotations a block, message or event may carry; provider round-trip data (e.g. reasoning signatures) lives here. */
export const Metadata = z.record(z.string(), z.unknown());
export type Metadata = z.infer<typeof Metadata>;

/** Every block carries its identity and the span in which it was produced; `finished_at` is null while it streams. */
const blockBase = {
  id: z.string().min(1).max(256),
  created_at: Timestamp,
  finished_at: Timestamp.nullable(),
  metadata: Metadata.optional(),
};

export const TextBlock = z
  .object({ type: z.literal('text'), text: z.string(), ...blockBase })
  .meta({ id: 'TextBlock' });
export type TextBlock = z.infer<typeof TextBlock>;

export const ThinkingBlock = z
  .object({ type: z.literal('thinking'), thinking: z.string(), ...blockBase })
  .meta({ id: 'ThinkingBlock' });
export type ThinkingBlock = z.infer<typeof ThinkingBlock>;

export const DataSource = z
  .discriminatedUnion('type', [
    z.object({ type: z.literal('base64'), data: z.base64(), media_type: z.string().min(1).max(255) }),
    z.object({ type: z.literal('url'), url: z.url(), media_type: z.string().min(1).max(255) }),
  ])
  .meta({ id: 'DataSource' });
export type DataSource = z.infer<typeof DataSource>;

export const DataBlock = z
  .object({ type: z.literal('data'), source: DataSource, name: z.string().nullable(), ...blockBase })
  .meta({ id: 'DataBlock' });
export type DataBlock = z.infer<typeof DataBlock>;

/** Something the service tells the model in mid-conversation (a schedule fired, a background tool finished). `source` is JSON `{label, sublabel}`. */
export const HintBlock = z
  .object({
    type: z.literal('hint'),
    hint: z.union([z.string(), z.array(z.discriminatedUnion('type', [TextBlock, DataBlock]))]),
    source: z.string().nullable(),
    ...blockBase,
  })
  .meta({ id: 'HintBlock' });
export type HintBlock = z.infer<typeof HintBlock>;

/** What one tool may do; a `rule_content` of null (or '') speaks of the whole tool, another one is read as the tool's kind does. */
export const PermissionRule = z
  .object({
    tool_name: z.string().min(1).max(256),
    rule_content: z.string().max(1000).nullable(),
    behavior: z.enum(['allow', 'deny', 'ask']),
    source: z.string().max(64),
  })
  .meta({ id: 'PermissionRule' });
export type PermissionRule = z.infer<typeof PermissionRule>;

/** pending → (asking → allowed) → finished; external tools pass through `submitted`. */
export const ToolCallState = z.enum(['pending', 'asking', 'allowed', 'submitted', 'finished']);
export type ToolCallState = z.infer<typeof ToolCallState>;

/** `input` is the JSON text exactly as the model produced it. */
export const ToolCallBlock = z
  .object({
    type: z.literal('tool_call'),
    name: z.string().min(1),
    input: z.string(),
    state: ToolCallState,
    suggested_rules: z.array(PermissionRule),
    ...blockBase,
  })
  .meta({ id: 'ToolCallBlock' });
export type ToolCallBlock = z.infer<typeof ToolCallBlock>;

export const ToolResultState = z.enum(['running', 'success', 'error', 'interrupted', 'denied']);
export type ToolResultState = z.infer<typeof ToolResultState>;

/** `id` equals the id of the tool call it answers. */
export const ToolResultBlock = z
  .object({
    type: z.literal('tool_result'),
    name: z.string().min(1),
    output: z.array(z.discriminatedUnion('type', [TextBlock, DataBlock])),
    state: ToolResultState,
    ...blockBase,
  })
  .meta({ id: 'ToolResultBlock' });
export type ToolResultBlock = z.infer<typeof ToolResultBlock>;

export const ContentBlock = z
  .discriminatedUnion('type', [TextBlock, ThinkingBlock, HintBlock, DataBlock, ToolCallBlock, ToolResultBlock])
  .meta({ id: 'ContentBlock' });
export type ContentBlock = z.infer<typeof ContentBlock>;
