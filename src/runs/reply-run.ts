import type { EventOf } from '../core/events/agent-event.js';
import { SupervisedReply } from '../core/agent/supervised-reply.js';
import type { HeldEvent } from './event-writer.js';
import { newEventId } from '../platform/ids.js';
import { GrammarSample } from './grammar-sample.js';
import { approvalsOf, openCallsOf } from './open-calls.js';
import { hintSaid, modelCallAnew, replyRemoved, saidAnew } from './reply-events.js';
import { type Carried, type Preparation, prepareReply, type ReplyWork } from './reply-work.js';
import type { Finish, FinishOutcome, Park, ToolCallEntry } from './run.store.js';
import type { Stretch } from './stretch.js';

/** Share of replies whose events are checked. */
const GRAMMAR_SAMPLE = 0.01;

const RUN_STATUS = {
  completed: 'completed',
  exceed_max_iters: 'completed',
  interrupted: 'interrupted',
  error: 'failed',
} as const;

/** Left without a write: the lease is gone, or the work was handed over. */
const LEFT = undefined;

/** One reply at work: numbers its events, puts its steps on record, publishes, and ends, parks or hands over its run. */
export class ReplyRun {
  private readonly work: ReplyWork;
  private readonly sample: GrammarSample | undefined;
  private inModelCall = false;
  /** What is asked of somebody outside, shown once the run is parked on record. */
  private readonly asked: HeldEvent[] = [];
  private failure: Error | undefined;

  constructor(
    private readonly stretch: Stretch,
    private readonly preparation: Preparation,
    carried?: Carried,
  ) {
    this.work = prepareReply(stretch, preparation, carried, (tools) => this.start(tools));
    this.sample = this.sampled();
  }

  /** Undefined when the session was left without an end: the lease is gone, or somebody else goes on. */
  async play(): Promise<FinishOutcome | undefined> {
    const { held, writer, resources } = this.stretch;
    const { run } = this.preparation;
    const { request, ledger } = this.work;
    if (!(await this.sayKnown())) return LEFT;
    const { runs } = resources.config;
    const limits = { ...runs, work_ms: runs.work_ms - run.work_ms };
    for await (const event of new SupervisedReply(request, this.work.handler, limits)) {
      if (this.failure !== undefined) throw this.failure;
      if (held.lost) return LEFT;
      ledger.see(event);
      this.sample?.see(event);
      switch (event.type) {
        case 'REPLY_START': {
          const seq = writer.emit(event);
          ledger.recorder.position ||= seq;
          break;
        }
        case 'REQUIRE_USER_CONFIRM':
        case 'REQUIRE_EXTERNAL_EXECUTION':
          this.asked.push(writer.hold(event));
          break;
        case 'TOOL_RESULT_END': {
          // Shown only after it is on record.
          const pending = writer.hold(event);
          if (!(await this.checkpoint(settledBy(event.tool_call_id, request.reply)))) return LEFT;
          writer.release(pending);
          break;
        }
        case 'REPLY_END':
          if (event.finished_reason === 'error') await this.sayUnheard();
          return this.finish(event);
        case 'MODEL_CALL_START':
        case 'MODEL_CALL_END':
          this.inModelCall = event.type === 'MODEL_CALL_START';
          writer.emit(event);
          break;
        default:
          writer.emit(event);
          if (writer.congested) await writer.flushed();
      }
      // What is held back has its number already: it comes first.
      if (this.stretch.lost && this.asked.length === 0) this.sayAgain();
    }
    if (this.failure !== undefined) throw this.failure;
    if (held.lost) return LEFT;
    if (held.handover.aborted && !this.isAtRest) {
      // A model turn that is over is not made again by who goes on.
      if (ledger.calls.pending.length > 0 && !this.inModelCall && !(await this.checkpoint([]))) return LEFT;
      await this.stretch.handOver(run);
      return LEFT;
    }
    if (this.isParked) return this.park();
    throw new Error(`reply ${request.reply_id} ended without its end`);
  }

  private get isParked(): boolean {
    return openCallsOf(this.work.request.reply).length > 0;
  }

  /** Left in the middle of its calls, the rest of them must not wait for the answers to others: whoever goes on runs them first. */
  private get isAtRest(): boolean {
    const { reply } = this.work.request;
    if (!this.isParked || this.asked.length > 0) return this.isParked;
    const unresolved = reply.msg.content.filter((block) => block.type === 'tool_call' && !reply.result(block.id));
    return unresolved.length === openCallsOf(reply).length;
  }

  /** Called by the loop before tools run. What fails here fails the stretch, not the reply. */
  private async start(tools: readonly ToolCallEntry[]): Promise<void> {
    try {
      await this.checkpoint(tools);
    } catch (error) {
      this.failure = error as Error;
      this.stretch.held.lose();
      throw error;
    }
  }

  /** What came while the reply was left or parked; false when the lease is gone. */
  private async sayKnown(): Promise<boolean> {
    const { known = [], unknown = new Set<string>() } = this.preparation.reopened ?? {};
    if (known.length === 0) return true;
    const { writer } = this.stretch;
    const { reply } = this.work.request;
    const pending: HeldEvent[] = [];
    for (const event of known) {
      reply.apply(event);
      this.sample?.see(event);
      pending.push(writer.hold(event));
    }
    const tools = [...unknown].map((id): ToolCallEntry => {
      const result = reply.result(id) ?? null;
      return { tool_call_id: id, name: result?.name ?? '', state: 'unknown', result };
    });
    if (!(await this.checkpoint(tools))) return false;
    for (const event of pending) writer.release(event);
    return true;
  }

  /** A reply that fails before it heard its hints holds them all the same: they would wake the session for the same failure, again and again. */
  private async sayUnheard(): Promise<void> {
    const { request, ledger } = this.work;
    const { reply, run_id, reply_id } = request;
    // Nothing but the end may follow a question.
    if (this.asked.length > 0) return;
    for (const hint of await ledger.inbox.take()) {
      if (reply.block(hint.id) !== undefined) continue;
      const event = hintSaid(hint, { run_id, reply_id });
      reply.apply(event);
      ledger.see(event);
      this.stretch.writer.emit(event);
    }
  }

  private async checkpoint(tools: readonly ToolCallEntry[]): Promise<boolean> {
    const { held, writer, resources } = this.stretch;
    const { ledger } = this.work;
    const { entry } = ledger;
    const last_seq = writer.last_seq;
    const written = await this.stretch.persist(() =>
      resources.store.checkpoint(held.lease, { ...entry, last_seq, tools }),
    );
    if (written === undefined || written.outcome === 'fenced') {
      held.lose();
      return false;
    }
    ledger.written(entry, written.hints);
    if (written.outcome === 'stopped') held.stop(this.preparation.run.run_id, written.mode);
    writer.keep_from = last_seq;
    return true;
  }

  private async finish(event: EventOf<'REPLY_END'>): Promise<FinishOutcome | undefined> {
    const { held, writer, resources } = this.stretch;
    const { run, consumed, history } = this.preparation;
    const { request, ledger } = this.work;
    const { reply } = request;
    let end = writer.hold(event);
    let ending = event;
    let status: Finish['status'] = RUN_STATUS[event.finished_reason];
    const removed: HeldEvent[] = [];
    // On its way before the lease may be given back: a later holder's first number shuts out whatever of this reply is not in the log.
    writer.send();
    held.finishing = true;
    for (;;) {
      const { entry } = ledger;
      const finish: Finish = {
        ...entry,
        run_id: run.run_id,
        status,
        usage: reply.msg.usage,
        error: reply.msg.error,
        last_seq: writer.last_seq,
        tools: [],
        consumed: [...consumed, ...entry.consumed],
        voids: this.preparation.reopened !== null,
        remove: removed.length > 0,
        ending: { token: held.lease.token, seq: end.seq, frames: textOf([end, ...removed]) },
      };
      const written = await this.stretch.persist(() => resources.store.finish(held.lease, finish));
      if (written?.outcome === 'stopped') {
        // Somebody asked to stop the run before its end was on record. A reply that ran out of iterations has said so: it ends as that.
        if (status === 'completed') status = 'interrupted';
        if (ending.finished_reason === 'completed') {
          ending = { ...ending, id: newEventId(), finished_reason: 'interrupted' };
          reply.apply(ending);
          end = writer.hold(ending, end.seq);
        }
        if (written.mode === 'rollback' && removed.length === 0) removed.push(writer.hold(replyRemoved(run)));
        continue;
      }
      if (written === undefined || written.outcome === 'fenced') return written;
      // Whoever sees the hole reads the transcript, which has all of the reply by now.
      if (this.stretch.lost) writer.resume();
      this.stretch.lost = false;
      writer.release(end);
      for (const withdrawal of removed) writer.release(withdrawal);
      writer.keep_from = writer.last_seq;
      const isReleased = written.outcome === 'released';
      // The state of before the run is restored with the reply's removal, and with it where the view begins.
      if (removed.length > 0) this.stretch.conclude(null, history, null, isReleased);
      else this.stretch.conclude(reply.msg, history, request.state.value.window_context.from, isReleased);
      return written;
    }
  }

  private async park(): Promise<FinishOutcome | undefined> {
    const { held, writer, resources } = this.stretch;
    const { run, consumed, history } = this.preparation;
    const { request, ledger } = this.work;
    const { reply } = request;
    writer.send();
    held.finishing = true;
    const { entry } = ledger;
    const open_calls = openCallsOf(reply);
    const park: Park = {
      ...entry,
      run_id: run.run_id,
      usage: reply.msg.usage,
      ending: {
        token: held.lease.token,
        seq: this.asked[0]?.seq ?? writer.last_seq,
        frames: textOf(this.asked),
      },
      open_calls,
      known_calls: run.open_calls,
      approvals: approvalsOf(reply, open_calls),
      approval_ttl_ms: resources.config.runs.approval_ttl_ms,
      last_seq: writer.last_seq,
      tools: [],
      consumed: [...consumed, ...entry.consumed],
    };
    const written = await this.stretch.persist(() => resources.store.park(held.lease, park));
    if (written && written.outcome !== 'fenced') for (const asked of this.asked.splice(0)) writer.release(asked);
    if (written?.outcome === 'stopped') {
      // Asked for while the reply came to its rest: the session is still held, and the run goes on to its end.
      held.finishing = false;
      held.stop(run.run_id, written.mode);
      // With the calls that this write was to put on record.
      return new ReplyRun(this.stretch, { ...this.preparation, reopened: this.reopenedAsIs() }, ledger).play();
    }
    if (written && written.outcome !== 'fenced') this.stretch.conclude(null, history, null, false);
    return written;
  }

  private reopenedAsIs() {
    const { reply } = this.work.request;
    const { recorded } = this.work.ledger.recorder;
    return { reply, rewound: null, known: [], unknown: new Set<string>(), recorded, turns: recorded.steps + 1 };
  }

  /** The log forgot part of the open reply: it is withdrawn and said anew, so that whoever reads from here on has all of it. */
  private sayAgain(): void {
    const { writer } = this.stretch;
    const { msg } = this.work.request.reply;
    this.stretch.lost = false;
    writer.resume();
    const { session_id, run_id } = this.work.request;
    for (const event of saidAnew(msg, { session_id, run_id })) writer.emit(event);
    const isOpen = msg.content.some((block) => block.finished_at === null && block.type !== 'tool_result');
    if (this.inModelCall && !isOpen) writer.emit(modelCallAnew(msg, run_id));
  }

  /** Now and then a whole reply is watched for breaches of the grammar that every client relies on. */
  private sampled(): GrammarSample | undefined {
    if (this.preparation.reopened || Math.random() >= GRAMMAR_SAMPLE) return undefined;
    const { logger } = this.stretch.resources;
    const { reply_id } = this.work.request;
    return new GrammarSample((error) => logger.error({ err: error, reply_id }, 'A reply broke the grammar of events'));
  }
}

const textOf = (events: readonly HeldEvent[]): string => events.map((event) => event.text).join('');

/** The ledger entry of a call that came to its end. */
function settledBy(tool_call_id: string, reply: ReplyWork['request']['reply']): ToolCallEntry[] {
  const result = reply.result(tool_call_id) ?? null;
  return [{ tool_call_id, name: result?.name ?? '', state: 'settled', result }];
}
