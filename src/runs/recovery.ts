import type { Toolkit } from '../core/agent/toolkit.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { resultKey } from '../core/events/reply-blocks.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import type { ContentBlock, ToolResultBlock } from '../core/messages/block.js';
import { newId } from '../platform/ids.js';
import { type MessageRow, toMessages } from '../sessions/transcript-rows.js';
import type { TakenRun } from './run.store.js';

export interface Reopened {
  readonly reply: ReplyReducer;
  /** Withdraws what was streamed beyond the checkpoint; to be published before the reply starts again. */
  readonly rewound: AgentEvent;
  /** Results of calls that must not be run again; to be applied and published once the reply has started again. */
  readonly settled: AgentEvent[];
  /** Steps that are on record and need no further write, and the blocks they hold. */
  readonly recorded: { steps: number; from: number };
}

const UNKNOWN_OUTCOME =
  '<system-reminder>The service was interrupted while this tool ran. Whether it took effect is unknown, and it was not run again.</system-reminder>';

/**
 * Puts a reply back to its last checkpoint. A call that had started may have taken effect: it is run again only when its tool says that
 * is harmless, otherwise it ends here with an outcome the model is told to be unknown.
 */
export function reopen(
  run: Pick<TakenRun, 'run_id' | 'reply_id'>,
  rows: readonly MessageRow[],
  toolkit: Toolkit,
  agentName: string,
): Reopened {
  const [stored] = toMessages(rows);
  const reply = stored ? new ReplyReducer(stored) : ReplyReducer.blank(run.reply_id, agentName);
  const { content, usage } = reply.msg;
  const started = content.filter(isStarted);
  const base = { created_at: new Date().toISOString(), run_id: run.run_id };
  const rewound: AgentEvent = {
    type: 'CUSTOM',
    id: newId(),
    ...base,
    name: 'reply_rewound',
    value: {
      reply_id: run.reply_id,
      keep_block_ids: content.filter((block) => !isStarted(block)).map(keyOf),
      usage,
    },
  };
  reply.apply(rewound);
  const unrepeatable = started.filter((result) => toolkit.get(result.name)?.is_idempotent !== true);
  const settled = unrepeatable.flatMap(({ id: tool_call_id, name: tool_call_name }): AgentEvent[] => {
    const ids = { ...base, reply_id: run.reply_id, tool_call_id };
    return [
      { type: 'TOOL_RESULT_START', id: newId(), ...ids, tool_call_name },
      { type: 'TOOL_RESULT_TEXT_DELTA', id: newId(), ...ids, delta: UNKNOWN_OUTCOME },
      { type: 'TOOL_RESULT_END', id: newId(), ...ids, state: 'error' },
    ];
  });
  const from = rows.slice(0, -1).reduce((sum, row) => sum + row.data.content.length, 0);
  return { reply, rewound, settled, recorded: { steps: Math.max(rows.length - 1, 0), from } };
}

const keyOf = (block: ContentBlock): string => (block.type === 'tool_result' ? resultKey(block.id) : block.id);

const isStarted = (block: ContentBlock): block is ToolResultBlock =>
  block.type === 'tool_result' && block.state === 'running';
