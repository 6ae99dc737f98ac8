import type { Msg } from '../messages/message.js';
import type { WindowContext } from '../state/session-state.js';
import type { TokenCounter } from './token-counter.js';
import { type Cut, startIn, turnEnds } from './window-view.js';

/** What goes and where the view begins then. */
export interface CompressionPlan {
  readonly from: Cut;
  /** Oldest first; of a message that is cut, the part that goes. */
  readonly compressed: readonly Msg[];
  /** What the reply answers, as far as it goes. */
  readonly request: readonly Msg[];
}

/** In tokens. */
export interface PlanLimits {
  /** Kept at the newest end. */
  readonly reserve: number;
  /** What the newest turn may take alone when it is larger than the reserve. */
  readonly room: number;
  /** A plan that frees less is not worth a model call. */
  readonly min_gain: number;
}

/** A message of somebody else, or one turn of the agent. */
interface Segment {
  readonly msg: Msg;
  /** Of its message; `end` excluded. */
  readonly begin: number;
  readonly end: number;
}

/** Null when nothing that may go would free enough. */
export function planCompression(
  window: WindowContext,
  history: readonly Msg[],
  reply: Msg,
  counter: TokenCounter,
  limits: PlanLimits,
): CompressionPlan | null {
  const segments = segmentsOf(window, history, reply);
  const first = firstKept(segments, reply, counter, limits);
  const gone = segments.slice(0, first);
  const gain = gone.reduce((sum, segment) => sum + tokensOf(segment, counter), 0);
  const kept = segments[first];
  const last = gone.at(-1);
  if (last === undefined || gain < limits.min_gain) return null;
  const from = kept === undefined ? endOf(last, reply) : { message_id: kept.msg.id, block: kept.begin };
  return { from, compressed: partsOf(gone), request: requestIn(history, from, reply.id) };
}

/** Whether the view may begin there: between two model turns, and not before it begins now. */
export function isCutAhead(window: WindowContext, history: readonly Msg[], reply: Msg, cut: Cut): boolean {
  const segments = segmentsOf(window, history, reply);
  if (segments.some(({ msg, begin }) => msg.id === cut.message_id && begin === cut.block)) return true;
  const last = segments.at(-1);
  if (last === undefined || !mayAllGo(last, reply)) return false;
  const end = endOf(last, reply);
  return end.message_id === cut.message_id && end.block === cut.block;
}

function segmentsOf({ from }: WindowContext, history: readonly Msg[], reply: Msg): Segment[] {
  const start = from === null ? 0 : startIn(history, from, reply.id);
  return [...history.slice(start), reply].flatMap((msg) => {
    const skip = from?.message_id === msg.id ? from.block : 0;
    const ends = msg.role === 'assistant' ? turnEnds(msg.content).filter((end) => end > skip) : [];
    if ((ends.at(-1) ?? skip) < msg.content.length) ends.push(msg.content.length);
    return ends.map((end, index) => ({ msg, begin: ends[index - 1] ?? skip, end }));
  });
}

/** The newest segments that fit into the reserve; the newest one alone stays also when there is only room for it. */
function firstKept(segments: readonly Segment[], reply: Msg, counter: TokenCounter, limits: PlanLimits): number {
  const newest = segments.at(-1);
  if (newest === undefined) return 0;
  let tokens = tokensOf(newest, counter);
  if (mayAllGo(newest, reply) && tokens > Math.max(limits.reserve, limits.room)) return segments.length;
  let first = segments.length - 1;
  for (let before = segments[first - 1]; before !== undefined; before = segments[first - 1]) {
    tokens += tokensOf(before, counter);
    if (tokens > limits.reserve) break;
    first -= 1;
  }
  return first;
}

/** The newest turn may go unless it is still at work. */
function mayAllGo({ msg, end }: Segment, reply: Msg): boolean {
  return msg !== reply || turnEnds(msg.content).includes(end);
}

const endOf = (last: Segment, reply: Msg): Cut => ({
  message_id: reply.id,
  block: last.msg === reply ? last.end : 0,
});

function tokensOf({ msg, begin, end }: Segment, counter: TokenCounter): number {
  if (begin === 0 && end === msg.content.length) return counter.message(msg);
  return msg.content.slice(begin, end).reduce((sum, block) => sum + counter.block(block), 0);
}

/** Segments of one message as one message again. */
function partsOf(segments: readonly Segment[]): Msg[] {
  const spans = new Map<Msg, { begin: number; end: number }>();
  for (const { msg, begin, end } of segments) spans.set(msg, { begin: spans.get(msg)?.begin ?? begin, end });
  return [...spans].map(([msg, { begin, end }]) => ({ ...msg, content: msg.content.slice(begin, end) }));
}

/** The messages at the end of the history that nobody has answered yet, as far as they lie before the cut. */
function requestIn(history: readonly Msg[], from: Cut, replyId: string): readonly Msg[] {
  const begin = history.findLastIndex(({ role }) => role !== 'user') + 1;
  const end = startIn(history, from, replyId);
  return history.slice(begin, Math.max(begin, end));
}
