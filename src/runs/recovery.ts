import type { Toolkit } from '../core/agent/toolkit.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { resultKey } from '../core/events/reply-blocks.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import type { ContentBlock, ToolResultBlock } from '../core/messages/block.js';
import { newEventId } from '../platform/ids.js';
import { type MessageRow, toMessages } from '../sessions/transcript-rows.js';
import type { Answer } from './answers.js';
import type { SignalInput, TakenRun } from './run.store.js';

export interface Reopened {
  readonly reply: ReplyReducer;
  /** Withdraws what was streamed beyond the checkpoint; to be published before the reply starts again. Absent when nothing was. */
  readonly rewound: AgentEvent | null;
  /** What is known before the reply goes on; to be applied and published once it has started again. */
  readonly known: AgentEvent[];
  /** Calls whose outcome nobody knows: they are never run again. */
  readonly unknown: ReadonlySet<string>;
  /** Steps that are on record and need no further write, the blocks they hold, and the number of the reply's first event. */
  readonly recorded: { steps: number; from: number; position: number };
  /** Model turns that were made. */
  readonly turns: number;
}

const UNKNOWN_OUTCOME =
  '<system-reminder>The service was interrupted while this tool ran. Whether it took effect is unknown, and it was not run again.</system-reminder>';

/** Goes on with a reply that was parked: nothing is withdrawn, the answers are what is new. */
export function unpark(rows: readonly MessageRow[], signals: readonly SignalInput[], run: Run, name: string): Reopened {
  const reply = stored(rows, run, name);
  const known = answersTo(reply, signals, run);
  return { reply, rewound: null, known, unknown: new Set(), recorded: recordedIn(rows), turns: turnsIn(rows) };
}

/**
 * Puts a reply back to its last checkpoint. A call that had started may have taken effect: it is run again only when its tool says that
 * is harmless, otherwise it ends here with an outcome the model is told to be unknown.
 */
export function reopen(
  rows: readonly MessageRow[],
  signals: readonly SignalInput[],
  run: Run,
  name: string,
  toolkit: Toolkit,
): Reopened {
  const reply = stored(rows, run, name);
  const { content, usage } = reply.msg;
  const started = content.filter(isStarted);
  const base = { created_at: new Date().toISOString(), run_id: run.run_id };
  const kept = content.filter((block) => !isStarted(block)).map(keyOf);
  const value = { reply_id: run.reply_id, keep_block_ids: kept, usage };
  const rewound: AgentEvent = { type: 'CUSTOM', id: newEventId(), ...base, name: 'reply_rewound', value };
  reply.apply(rewound);
  const unrepeatable = started.filter((result) => !mayRepeat(toolkit, result.name));
  const settled = unrepeatable.flatMap(({ id: tool_call_id, name: tool_call_name }): AgentEvent[] => {
    const ids = { ...base, reply_id: run.reply_id, tool_call_id };
    return [
      { type: 'TOOL_RESULT_START', id: newEventId(), ...ids, tool_call_name },
      { type: 'TOOL_RESULT_TEXT_DELTA', id: newEventId(), ...ids, delta: UNKNOWN_OUTCOME },
      { type: 'TOOL_RESULT_END', id: newEventId(), ...ids, state: 'error' },
    ];
  });
  return {
    reply,
    rewound,
    known: [...settled, ...answersTo(reply, signals, run)],
    unknown: new Set(unrepeatable.map((result) => result.id)),
    recorded: recordedIn(rows),
    turns: turnsIn(rows),
  };
}

type Run = Pick<TakenRun, 'run_id' | 'reply_id'>;

function stored(rows: readonly MessageRow[], run: Run, name: string): ReplyReducer {
  const [message] = toMessages(rows);
  return message ? new ReplyReducer(message) : ReplyReducer.blank(run.reply_id, name);
}

/** The last step may still grow; those before it do not. */
const recordedIn = (rows: readonly MessageRow[]) => ({
  steps: Math.max(rows.length - 1, 0),
  from: rows.slice(0, -1).reduce((sum, row) => sum + row.data.content.length, 0),
  position: rows[0]?.position ?? 0,
});

/** A reply that was handed over between two attempts of a model call has the step on record in which the model said nothing yet. */
const turnsIn = (rows: readonly MessageRow[]): number => rows.filter((row) => row.data.content.length > 0).length;

/** Results from outside for calls that have none yet; each call is answered once, whatever was sent. */
function answersTo(reply: ReplyReducer, signals: readonly SignalInput[], run: Run): AgentEvent[] {
  const answered = new Set<string>();
  return signals.flatMap((signal): AgentEvent[] => {
    if (signal.kind !== 'answer' || signal.run_id !== run.run_id) return [];
    const results = (signal.payload as Answer).results.filter((result) => {
      const isOpen = reply.result(result.id) === undefined && reply.block(result.id)?.type === 'tool_call';
      if (!isOpen || answered.has(result.id)) return false;
      return answered.add(result.id);
    });
    if (results.length === 0) return [];
    const { run_id, reply_id } = run;
    const created_at = new Date().toISOString();
    return [
      { type: 'EXTERNAL_EXECUTION_RESULT', id: signal.id, created_at, run_id, reply_id, execution_results: results },
    ];
  });
}

function mayRepeat(toolkit: Toolkit, name: string): boolean {
  const tool = toolkit.get(name);
  return tool?.is_idempotent === true && tool.is_external !== true;
}

const keyOf = (block: ContentBlock): string => (block.type === 'tool_result' ? resultKey(block.id) : block.id);

const isStarted = (block: ContentBlock): block is ToolResultBlock =>
  block.type === 'tool_result' && block.state === 'running';
