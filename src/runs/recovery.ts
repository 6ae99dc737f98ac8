import type { Toolkit } from '../core/agent/toolkit.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { approvalOf } from '../core/events/approval-note.js';
import { resultKey } from '../core/events/reply-blocks.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import type { ContentBlock, ToolCallBlock, ToolResultBlock } from '../core/messages/block.js';
import { newEventId } from '../platform/ids.js';
import { type MessageRow, toMessages } from '../sessions/transcript-rows.js';
import { answersTo, decidedAs } from './said-answers.js';
import type { SignalInput, TakenRun } from './run.store.js';

export interface Reopened {
  readonly reply: ReplyReducer;
  /** Withdraws what was streamed beyond the checkpoint. Absent when nothing was. */
  readonly rewound: AgentEvent | null;
  /** What is known before the reply goes on; to be applied and published, once it is on record, before its next start. */
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
 * is harmless, otherwise it ends here with an outcome the model is told to be unknown. What was asked about a call is asked again, and
 * answered again as it was.
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
  const unrepeatable = started.filter((result) => !mayRepeat(toolkit, result.name));
  const settled = new Set(content.filter((block) => block.type === 'tool_result').map((result) => result.id));
  for (const { id } of started) if (!unrepeatable.some((result) => result.id === id)) settled.delete(id);
  const open = structuredClone(
    content.filter((block): block is ToolCallBlock => block.type === 'tool_call' && !settled.has(block.id)),
  );
  const base = { created_at: new Date().toISOString(), run_id: run.run_id };
  const asked = askedAgain(open, { ...base, reply_id: run.reply_id });

  const kept = content.filter((block) => !isStarted(block)).map(keyOf);
  const value = { reply_id: run.reply_id, keep_block_ids: kept, usage };
  const rewound: AgentEvent = { type: 'CUSTOM', id: newEventId(), ...base, name: 'reply_rewound', value };
  reply.apply(rewound);
  const ends = unrepeatable.flatMap(({ id: tool_call_id, name: tool_call_name }): AgentEvent[] => {
    const ids = { ...base, reply_id: run.reply_id, tool_call_id };
    return [
      { type: 'TOOL_RESULT_START', id: newEventId(), ...ids, tool_call_name },
      { type: 'TOOL_RESULT_TEXT_DELTA', id: newEventId(), ...ids, delta: UNKNOWN_OUTCOME },
      { type: 'TOOL_RESULT_END', id: newEventId(), ...ids, state: 'error' },
    ];
  });
  const unknown = new Set(unrepeatable.map((result) => result.id));
  const answers = answersTo(reply, signals, run, unknown);
  return {
    reply,
    rewound,
    known: [...ends, ...asked, ...decidedAs(open.filter(wasAsked), answers, run), ...answers],
    unknown,
    recorded: recordedIn(rows),
    turns: turnsIn(rows),
  };
}

type Run = Pick<TakenRun, 'run_id' | 'reply_id'>;

/** A withdrawal takes back that calls were asked about or handed out: it is said anew. */
function askedAgain(
  open: readonly ToolCallBlock[],
  base: { created_at: string; run_id: string; reply_id: string },
): AgentEvent[] {
  const submitted = open.filter((call) => call.state === 'submitted');
  const asked = open.filter((call) => call.state === 'asking' || (call.state !== 'submitted' && wasAsked(call)));
  const events: AgentEvent[] = [];
  if (asked.length > 0) events.push({ type: 'REQUIRE_USER_CONFIRM', id: newEventId(), ...base, tool_calls: asked });
  if (submitted.length > 0) {
    events.push({ type: 'REQUIRE_EXTERNAL_EXECUTION', id: newEventId(), ...base, tool_calls: submitted });
  }
  return events;
}

const wasAsked = (call: ToolCallBlock): boolean =>
  (call.state === 'allowed' || call.state === 'finished') && approvalOf(call) !== null;

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

/** A turn ends with the results of its calls, or where the model is told something. One that said nothing leaves no trace. */
function turnsIn(rows: readonly MessageRow[]): number {
  const content = rows.flatMap((row) => row.data.content);
  return content.filter((block, index) => isSaid(block) && !isSaid(content[index - 1])).length;
}

const isSaid = (block: ContentBlock | undefined): boolean =>
  block !== undefined && block.type !== 'hint' && block.type !== 'tool_result';

function mayRepeat(toolkit: Toolkit, name: string): boolean {
  const tool = toolkit.get(name);
  return tool?.is_idempotent === true && tool.is_external !== true;
}

const keyOf = (block: ContentBlock): string => (block.type === 'tool_result' ? resultKey(block.id) : block.id);

const isStarted = (block: ContentBlock): block is ToolResultBlock =>
  block.type === 'tool_result' && block.state === 'running';
