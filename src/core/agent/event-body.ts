import type { AgentEvent } from '../events/agent-event.js';

type ReplyEvent = Exclude<AgentEvent, { type: 'CUSTOM' }>;
/** An event of a reply without what its context fills in. */
export type EventBody = ReplyEvent extends infer E
  ? E extends ReplyEvent
    ? Omit<E, 'id' | 'created_at' | 'run_id' | 'reply_id'>
    : never
  : never;
