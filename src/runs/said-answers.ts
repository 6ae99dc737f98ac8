import type { AgentEvent, EventOf } from '../core/events/agent-event.js';
import { approvalOf } from '../core/events/approval-note.js';
import type { ReplyReducer } from '../core/events/reply-reducer.js';
import type { ToolCallBlock } from '../core/messages/block.js';
import { newEventId } from '../platform/ids.js';
import type { Answer, CallConfirmation } from './answers.js';
import type { SignalInput, TakenRun } from './run.store.js';

type Confirmed = EventOf<'USER_CONFIRM_RESULT'>['confirm_results'][number];

/** The answers among the signals of a run as events; each call is answered once, whatever was sent, and one of those that `ended` not at all. */
export function answersTo(
  reply: ReplyReducer,
  signals: readonly SignalInput[],
  run: Pick<TakenRun, 'run_id' | 'reply_id'>,
  ended: ReadonlySet<string> = new Set(),
): AgentEvent[] {
  const answered = new Set(ended);
  const isNew = (id: string): boolean =>
    reply.result(id) === undefined && callOf(reply, id) !== null && !answered.has(id) && Boolean(answered.add(id));
  return signals.flatMap((signal): AgentEvent[] => {
    if (signal.kind !== 'answer' || signal.run_id !== run.run_id) return [];
    const answer = signal.payload as Answer;
    const base = { created_at: new Date().toISOString(), run_id: run.run_id, reply_id: run.reply_id };
    const confirm_results = answer.confirmations
      .filter((it) => isNew(it.tool_call_id))
      .map((it) => confirmed(reply, it, answer));
    const execution_results = answer.results.filter((it) => isNew(it.id));
    const events: AgentEvent[] = [];
    // The first keeps the id of the answer, by which a client knows its own.
    if (confirm_results.length > 0) {
      events.push({ type: 'USER_CONFIRM_RESULT', id: signal.id, ...base, confirm_results });
    }
    if (execution_results.length > 0) {
      const id = events.length === 0 ? signal.id : newEventId();
      events.push({ type: 'EXTERNAL_EXECUTION_RESULT', id, ...base, execution_results });
    }
    return events;
  });
}

/** What is on record of decisions whose answers are gone, as an answer to the same calls: it was given once and is not asked for again. */
export function decidedAs(
  calls: readonly ToolCallBlock[],
  answers: readonly AgentEvent[],
  { run_id, reply_id }: Pick<TakenRun, 'run_id' | 'reply_id'>,
): AgentEvent[] {
  const given = new Set(
    answers.flatMap((it) => (it.type === 'USER_CONFIRM_RESULT' ? it.confirm_results : [])).map((it) => it.tool_call.id),
  );
  const confirm_results = calls
    .filter((call) => !given.has(call.id))
    .map((tool_call): Confirmed => {
      const { cause, comment } = approvalOf(tool_call) ?? {};
      const confirmed = tool_call.state === 'allowed';
      return { confirmed, tool_call, rules: null, ...(cause && { cause }), ...(comment !== undefined && { comment }) };
    });
  const base = { id: newEventId(), created_at: new Date().toISOString(), run_id, reply_id };
  return confirm_results.length > 0 ? [{ type: 'USER_CONFIRM_RESULT', ...base, confirm_results }] : [];
}

function confirmed(reply: ReplyReducer, given: CallConfirmation, { cause }: Answer): Confirmed {
  const { confirmed, tool_call_id, input, rules, comment } = given;
  const call = callOf(reply, tool_call_id);
  if (call === null) throw new Error(`there is no call ${tool_call_id}`);
  return {
    confirmed,
    tool_call: { ...structuredClone(call), ...(input !== null && { input }) },
    rules: rules.length > 0 ? [...rules] : null,
    ...(comment !== null && { comment }),
    ...(!confirmed && { cause }),
  };
}

function callOf(reply: ReplyReducer, id: string): ToolCallBlock | null {
  const block = reply.block(id);
  return block?.type === 'tool_call' ? block : null;
}
