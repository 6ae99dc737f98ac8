/** The only place that spells Redis keys and channels. `ref` is unique over tenants. */
export interface SessionRef {
  readonly tenant_id: string;
  readonly session_id: string;
}

/** The stream with a session's events, and the channel on which its batches are published; the braces keep both in one cluster slot. */
export const eventsKey = (ref: SessionRef): string => `aerie:{${ref.tenant_id}:${ref.session_id}}:events`;

/** Rings when a session has work that a node with a free slot may claim. */
export const DOORBELL_CHANNEL = 'aerie:doorbell';

/** Carries requests to stop what a session is doing. */
export const INTERRUPT_CHANNEL = 'aerie:interrupt';

export const QUEUE_PREFIX = 'aerie:queue';
