import type { ReplyReducer } from '../events/reply-reducer.js';
import { storableJson } from '../messages/storable.js';
import type { ServiceTool } from './tool.js';
import { looseJson } from './loose-json.js';
import { parseToolInput } from './tool-input.js';

export const STRUCTURED_OUTPUT_TOOL = 'generate_structured_output';

export const STRUCTURED_REMINDER =
  '<system-reminder>The answer is expected in a fixed form. Call the tool `generate_structured_output` with it.</system-reminder>';

/** The tool by which the model gives its answer in the form it is bound to: its input is the answer. */
export function structuredOutputTool(schema: Record<string, unknown>): ServiceTool {
  return {
    name: STRUCTURED_OUTPUT_TOOL,
    description: 'Gives the final answer in the form that is asked for. Call it once, when the answer is complete.',
    input_schema: schema,
    is_read_only: true,
    is_concurrency_safe: true,
    is_idempotent: true,
    async *run() {
      yield { type: 'text', text: 'The answer was taken.' };
    },
  };
}

/** The newest answer that was taken, wrapped so that any JSON value can be one; null when there is none yet. */
export function structuredOutputOf(reply: ReplyReducer, schema: Record<string, unknown>): { value: unknown } | null {
  const { content } = reply.msg;
  for (let index = content.length - 1; index >= 0; index -= 1) {
    const block = content[index];
    if (block?.type !== 'tool_call' || block.name !== STRUCTURED_OUTPUT_TOOL) continue;
    if (reply.result(block.id)?.state !== 'success') continue;
    const parsed = parseToolInput(structuredOutputTool(schema), block.input, looseJson);
    return parsed.ok ? { value: storableJson(parsed.input) } : null;
  }
  return null;
}
