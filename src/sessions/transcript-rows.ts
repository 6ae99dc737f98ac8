import type { ContentBlock } from '../core/messages/block.js';
import type { Msg } from '../core/messages/message.js';

/**
 * How a message stands in rows: one row for a user message, one per step of a reply. Each row holds the blocks of its step; the head
 * (everything but the content) is repeated, the newest row's counts.
 */
export interface StepData {
  readonly head: Omit<Msg, 'content'>;
  readonly content: ContentBlock[];
}

export interface MessageRow {
  readonly reply_id: string;
  readonly step: number;
  readonly position: number;
  readonly data: StepData;
}

export function toStep(message: Msg, from = 0): StepData {
  const { content, ...head } = message;
  return { head, content: from === 0 ? content : content.slice(from) };
}

/** Rows in order of position and step to messages. */
export function toMessages(rows: readonly MessageRow[]): Msg[] {
  const messages: Msg[] = [];
  for (const { reply_id, data } of rows) {
    const last = messages.at(-1);
    if (last?.id === reply_id) Object.assign(last, data.head, { content: [...last.content, ...data.content] });
    else messages.push({ ...data.head, content: [...data.content] });
  }
  return messages;
}
