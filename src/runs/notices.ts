import type { AgentEvent } from '../core/events/agent-event.js';
import type { EventWriter } from './event-writer.js';
import type { SignalInput } from './run.store.js';

/** What others have to say on a session's log: only its holder writes there. */
interface Notice {
  readonly name: string;
  readonly value: Record<string, unknown>;
}

/** Says the notices among the signals; returns the ids of what was said. */
export function sayNotices(writer: EventWriter, signals: readonly SignalInput[]): string[] {
  const notices = signals.filter((signal) => signal.kind === 'notice');
  for (const notice of notices) writer.emit(eventOf(notice));
  return notices.map((notice) => notice.id);
}

function eventOf({ id, run_id, payload }: SignalInput): AgentEvent {
  const { name, value } = payload as Notice;
  return {
    type: 'CUSTOM',
    id,
    created_at: new Date().toISOString(),
    ...(run_id === null ? {} : { run_id }),
    name,
    value,
  };
}
