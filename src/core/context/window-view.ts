import type { ContentBlock } from '../messages/block.js';
import { acceptInput, type Msg } from '../messages/message.js';
import type { WindowContext } from '../state/session-state.js';

/** A place between two model turns: before this block of this message. */
export type Cut = NonNullable<WindowContext['from']>;

const summaries = new WeakMap<WindowContext, Msg>();

/**
 * What the model is to see, oldest first: the summary as a user message, then what lies behind `window.from`. `from` names a message that
 * is neither in `history` nor the reply when it is older than the part of the conversation that is loaded: then all of that is seen. What is
 * not cut is the same object; the reply is a snapshot, for it grows while a model may still be reading it.
 */
export function viewOf(window: WindowContext, history: readonly Msg[], reply: Msg): readonly Msg[] {
  return withReply(window, earlierView(window, history, reply.id), reply);
}

/** The part of the view that stays the same while the reply works. */
export function earlierView(window: WindowContext, history: readonly Msg[], replyId: string): readonly Msg[] {
  const { from, summary } = window;
  const start = from === null ? 0 : startIn(history, from, replyId);
  if (start === 0 && summary === '' && (from === null || from.block === 0)) return history;
  const [first, ...rest] = history.slice(start);
  const seen =
    first === undefined ? [] : [cutMessage(first, from), ...rest].filter(({ content }) => content.length > 0);
  return summary === '' ? seen : [summaryMessage(window), ...seen];
}

export function withReply({ from }: WindowContext, earlier: readonly Msg[], reply: Msg): readonly Msg[] {
  const { content } = cutMessage(reply, from);
  return content.length === 0 ? earlier : [...earlier, { ...reply, content: [...content] }];
}

/** Where the first message that is seen stands in `history`; its length when that is the reply. */
export function startIn(history: readonly Msg[], from: Cut, replyId: string): number {
  if (from.message_id === replyId) return history.length;
  return Math.max(
    0,
    history.findLastIndex(({ id }) => id === from.message_id),
  );
}

/** The message without what `from` cuts off it; the same object when that is nothing. */
function cutMessage(msg: Msg, from: Cut | null): Msg {
  if (from === null || from.block === 0 || from.message_id !== msg.id) return msg;
  return { ...msg, content: msg.content.slice(from.block) };
}

/** The same message for the same state of the window. */
export function summaryMessage(window: WindowContext): Msg {
  let msg = summaries.get(window);
  if (msg === undefined) {
    const id = `context-summary-${window.compressions}`;
    const input = { id, name: 'user', role: 'user' as const, content: window.summary };
    msg = acceptInput(input, () => `${id}-text`, new Date(0).toISOString());
    summaries.set(window, msg);
  }
  return msg;
}

/** The places in a message where it may be cut: behind the results of a model turn, all of whose calls are answered. */
export function turnEnds(content: readonly ContentBlock[]): number[] {
  const open = new Set<string>();
  const ends: number[] = [];
  content.forEach((block, index) => {
    if (block.type === 'tool_call') open.add(block.id);
    if (block.type !== 'tool_result') return;
    if (block.state === 'running') open.add(block.id);
    else open.delete(block.id);
    if (open.size === 0 && content[index + 1]?.type !== 'tool_result') ends.push(index + 1);
  });
  return ends;
}
