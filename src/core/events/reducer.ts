import type { Msg } from '../messages/message.js';
import { CUSTOM_EVENTS, type AgentEvent, type EventOf } from './agent-event.js';
import { ReplyReducer } from './reply-reducer.js';

export type Transcript = Msg[];

/** Folds the events of a session into its transcript. */
export class TranscriptReducer {
  readonly messages: Transcript;
  /** Events that named a reply or block that is not there, or not in a state they apply to. */
  ignored = 0;
  private readonly byId = new Map<string, Msg>();
  private current: ReplyReducer | null = null;

  /** Takes over `messages` and mutates them. */
  constructor(messages: Transcript = []) {
    this.messages = messages;
    for (const message of messages) this.byId.set(message.id, message);
  }

  apply(event: AgentEvent): void {
    if (!this.fold(event)) this.ignored += 1;
  }

  private fold(event: AgentEvent): boolean {
    if (event.type === 'CUSTOM') return this.custom(event);
    if (this.current?.msg.id === event.reply_id) return this.current.apply(event);
    const reply = this.reply(event.reply_id);
    if (reply !== null) return reply.apply(event);
    if (event.type !== 'REPLY_START' || this.byId.has(event.reply_id)) return false;
    this.current = ReplyReducer.blank(event.reply_id, event.name);
    this.messages.push(this.current.msg);
    this.byId.set(event.reply_id, this.current.msg);
    return this.current.apply(event);
  }

  private custom(event: EventOf<'CUSTOM'>): boolean {
    switch (event.name) {
      case 'user_message':
        return this.userMessage(event.value['message']);
      case 'reply_rewound': {
        const id = event.value['reply_id'];
        return typeof id === 'string' && (this.reply(id)?.apply(event) ?? false);
      }
      case 'reply_removed': {
        const { data } = CUSTOM_EVENTS.reply_removed.safeParse(event.value);
        return data !== undefined && this.remove(data.reply_id);
      }
      default:
        return true;
    }
  }

  private reply(id: string): ReplyReducer | null {
    if (this.current?.msg.id === id) return this.current;
    const msg = this.byId.get(id);
    if (msg?.role !== 'assistant') return null;
    return (this.current = new ReplyReducer(msg));
  }

  private userMessage(value: unknown): boolean {
    if (!isMessage(value)) return false;
    const present = this.byId.get(value.id);
    if (present?.role === 'assistant') return false;
    const message = structuredClone(value);
    if (present === undefined) this.messages.push(message);
    else this.messages[this.messages.indexOf(present)] = message;
    this.byId.set(message.id, message);
    return true;
  }

  private remove(id: string): boolean {
    const msg = this.byId.get(id);
    if (msg?.role !== 'assistant') return false;
    this.messages.splice(this.messages.indexOf(msg), 1);
    this.byId.delete(id);
    if (this.current?.msg === msg) this.current = null;
    return true;
  }
}

/** The transcript that a sequence of events makes. */
export function reduce(events: Iterable<AgentEvent>, messages: Transcript = []): Transcript {
  const reducer = new TranscriptReducer(messages);
  for (const event of events) reducer.apply(event);
  return reducer.messages;
}

/** A cheap look instead of a full parse: the event was validated where it entered the service. */
function isMessage(value: unknown): value is Msg {
  if (typeof value !== 'object' || value === null) return false;
  const { id, role, content } = value as Partial<Msg>;
  return typeof id === 'string' && (role === 'user' || role === 'system') && Array.isArray(content);
}
