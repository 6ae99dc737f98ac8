import type { ToolResultBlock } from '../core/messages/block.js';
import { newId } from '../platform/ids.js';
import type { ExternalExecutionInput } from './run.schema.js';
import type { Answer } from './run.store.js';

/** Results from outside as blocks: ids and times are given here, once, so that every view of the session agrees on them. */
export function toAnswer(input: ExternalExecutionInput): Answer {
  const now = new Date().toISOString();
  const base = { created_at: now, finished_at: now };
  const results = input.execution_results.map(({ id, name, output, state }): ToolResultBlock => {
    const blocks =
      typeof output === 'string' ? [{ type: 'text' as const, id: newId(), text: output, ...base }] : output;
    return { type: 'tool_result', id, name: name ?? 'external', output: blocks, state, ...base };
  });
  return { reply_id: input.reply_id, results };
}
