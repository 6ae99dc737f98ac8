import type { AgentEvent } from '../core/events/agent-event.js';
import type { ReplyReducer } from '../core/events/reply-reducer.js';
import { toStep } from '../sessions/transcript-rows.js';
import type { Step } from './run.store.js';

/**
 * Parts a reply into the steps that are put on record: one model turn with the results of its calls each, so that a checkpoint writes
 * what the turn added and not the reply so far. A hint goes with the turn that hears it: the step before may be on record already. A turn
 * of which something is not, because it called nothing, shares its step with the next one.
 */
export class ReplyRecorder {
  /** Number of the reply's first event; 0 until it was given. */
  position: number;
  private step: number;
  private from: number;
  /** Blocks of the reply that are on record. */
  private written: number;

  /** Steps already on record and their blocks are not written again. */
  constructor(
    private readonly reply: ReplyReducer,
    private readonly run_id: string,
    recorded: { steps: number; from: number; position: number } = { steps: 0, from: 0, position: 0 },
  ) {
    this.step = recorded.steps;
    this.from = recorded.from;
    this.position = recorded.position;
    this.written = reply.msg.content.length;
  }

  /** Looks at an event that was applied to the reply, before it is published. */
  see(event: AgentEvent): void {
    if (event.type !== 'MODEL_CALL_START' && event.type !== 'HINT_BLOCK') return;
    const { content } = this.reply.msg;
    const begin = content.length - (event.type === 'HINT_BLOCK' ? 1 : 0);
    // A step that is not on record yet grows on. Several model calls may come before a turn says something: attempts, and one that compresses
    // the context.
    if (begin > this.written || !content.slice(this.from, begin).some(({ type }) => type !== 'hint')) return;
    this.step++;
    this.from = begin;
  }

  /** The newest step is on record as it stood then. */
  recordedAs({ step, data }: Step): void {
    if (step === this.step) this.written = this.from + data.content.length;
  }

  /** What is on record when the newest step is. */
  get recorded(): { steps: number; from: number; position: number } {
    return { steps: this.step, from: this.from, position: this.position };
  }

  /** The newest step as it stands now, its head included. */
  current(): Step {
    const { run_id, position, step } = this;
    return { reply_id: this.reply.msg.id, run_id, step, position, data: toStep(this.reply.msg, this.from) };
  }
}
