import { z } from 'zod';
import { ToolError, type ServiceTool } from '../agent/tool.js';

const DEFAULT_LIMIT = 20_000;
const MAX_LIMIT = 50_000;

const Input = z.object({
  path: z.string().min(1).max(1024).describe('The path as a reminder named it'),
  offset: z.int().min(0).optional().describe('Character (code point) to begin with, counted from 0; default 0'),
  limit: z.int().min(1).max(MAX_LIMIT).optional().describe(`Characters to read, ${DEFAULT_LIMIT} by default`),
});

const INPUT_SCHEMA = z.toJSONSchema(Input);

/** Reads what was put aside because the window of the model had no room for it: the rest of long results, and messages behind a summary. */
export const readOffloadedTool: ServiceTool = {
  name: 'read_offloaded',
  description:
    'Reads text that was put aside to save room: the rest of a truncated tool result, or earlier messages of this conversation as JSON ' +
    'lines. Reminders name the paths. Long texts are read piece by piece with offset and limit.',
  input_schema: INPUT_SCHEMA,
  isOffered: ({ window_context }) => window_context.offloads > 0,
  is_read_only: true,
  is_concurrency_safe: true,
  is_idempotent: true,
  async *run(input, { offload }) {
    const { path, offset = 0, limit = DEFAULT_LIMIT } = Input.parse(input);
    const piece = (await offload?.read(path, offset, limit)) ?? null;
    if (piece === null) throw new ToolError(`There is nothing at "${path}".`);
    const { text, total, media_type } = piece;
    if (text === null) throw new ToolError(`"${path}" is a file (${media_type}, ${total} bytes) that is no text.`);
    const end = Math.min(total, offset + limit);
    if (offset >= total && total > 0) {
      throw new ToolError(`"${path}" has ${total} characters; there is nothing from ${offset} on.`);
    }
    const more = end < total ? ` Go on with offset ${end}.` : '';
    yield { type: 'text', text: `[Characters ${offset} to ${end} of ${total}.${more}]\n${text}` };
  },
};
