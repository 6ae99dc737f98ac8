import type { AgentEvent } from '../core/events/agent-event.js';
import type { ModelCallLedger } from './model-call-ledger.js';
import type { ReplyRecorder } from './reply-recorder.js';
import type { RunInbox } from './run-inbox.js';
import type { RunMemory } from './run-memory.js';
import type { Checkpoint } from './run.store.js';

type Entry = Omit<Checkpoint, 'last_seq' | 'tools'>;

/** What a reply has done that is not on record yet: its newest step, model calls, hints it heard, and what it remembers. */
export class ReplyLedger {
  constructor(
    readonly recorder: ReplyRecorder,
    readonly calls: ModelCallLedger,
    readonly inbox: RunInbox,
    readonly memory: RunMemory,
  ) {}

  /** Looks at an event that was applied to the reply, before it is published. */
  see(event: AgentEvent): void {
    this.recorder.see(event);
    this.calls.see(event);
  }

  /** What the next write is to carry. */
  get entry(): Entry {
    return {
      step: this.recorder.current(),
      calls: this.calls.pending,
      consumed: this.inbox.consumed,
      ...this.memory.pending,
    };
  }

  /** The entry is on record; `hints` wait in the database. */
  written(entry: Entry, hints: number): void {
    this.recorder.recordedAs(entry.step);
    this.calls.written(entry.calls);
    this.inbox.written(entry.consumed);
    this.memory.written(entry);
    this.inbox.noted(hints);
  }
}
