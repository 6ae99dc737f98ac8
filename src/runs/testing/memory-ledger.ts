import type { AgentEvent } from '../../core/events/agent-event.js';
import { expand } from '../../core/events/expand.js';
import type { HintBlock, ToolCallBlock } from '../../core/messages/block.js';
import type { Msg } from '../../core/messages/message.js';
import { SCHEMA } from '../../core/testing/call-watch.js';
import type { Chance } from '../../core/testing/chance.js';
import { randomInput } from '../../core/testing/fuzzed-tools.js';
import type { AppendBatch } from '../../events/event-log.js';
import { eachFrame } from '../../events/frames.js';
import { newId } from '../../platform/ids.js';
import { type MessageRow, toMessages } from '../../sessions/transcript-rows.js';
import { type Answer, resultOf, sha256 } from '../answers.js';
import type { HeldSession } from '../held-session.js';
import type {
  Checkpoint,
  Ending,
  Finish,
  OpenCall,
  Park,
  SignalInput,
  StopMode,
  TakenRun,
  Work,
} from '../run.store.js';

export const REF = { tenant_id: 't', session_id: 's' };
export const IDS = { run_id: 'run', reply_id: 'reply' };

interface Asked {
  readonly kind: OpenCall['kind'];
  readonly tool_call_id: string;
  readonly input: string;
  status: 'pending' | 'decided' | 'voided';
}

/** A ledger in memory that keeps of one run what the real one keeps, and what a follower of its session has. */
export class MemoryLedger {
  /** What a follower has: the log, or the transcript from which it goes on behind a hole. */
  events: AgentEvent[] = [];
  /** What came about, for the test that the fuzz reaches all of it. */
  readonly seen = new Set<string>();
  status: 'running' | 'waiting' | 'ended' = 'running';
  protected readonly rows = new Map<number, MessageRow>();
  private readonly approvals: Asked[] = [];
  protected readonly declined = new Set<string>();
  protected openCalls: OpenCall[] = [];
  protected signals: SignalInput[] = [];
  protected stop: StopMode | null = null;
  private ending: Ending | null = null;
  protected lastSeq = 0;
  private top = 0;
  protected next: Work['kind'] = 'next';
  protected faults = true;
  private failed = false;
  /** What the reply is to end with. */
  protected readonly structured: Record<string, unknown> | null;

  constructor(protected readonly chance: Chance) {
    this.structured = chance.hits(0.2) ? SCHEMA : null;
  }

  get transcript(): Msg[] {
    return toMessages([...this.rows.values()].sort((a, b) => a.step - b.step));
  }

  get pending(): readonly Asked[] {
    return this.approvals.filter((it) => it.status === 'pending');
  }

  /** From here on no holder dies or leaves, and nobody stops the run. */
  calm(): void {
    this.faults = false;
  }

  /** Some of what is asked is answered. False when nothing is. */
  answer(share = 1): boolean {
    const { chance } = this;
    const isOpen = (it: Asked) => this.openCalls.some((c) => c.tool_call_id === it.tool_call_id && c.kind === it.kind);
    const named = this.pending.filter((it) => isOpen(it) && chance.hits(share));
    if (named.length === 0 || this.stop !== null || this.status === 'ended') return false;
    const confirmations = named
      .filter((it) => it.kind === 'confirm')
      .map(({ tool_call_id, input }) => {
        const confirmed = chance.hits(0.7);
        if (!confirmed) this.declined.add(tool_call_id);
        const edited = confirmed && chance.hits(0.2) ? randomInput(chance) : null;
        return { tool_call_id, confirmed, input: edited, input_hash: sha256(input), rules: [], comment: null };
      });
    const results = named
      .filter((it) => it.kind === 'external')
      .map((it) => resultOf(it.tool_call_id, 'hand', 'success', 'done'));
    const cause = chance.pick(['user', 'message', 'expired'] as const);
    const hint = cause === 'message' ? this.hint() : null;
    const answer: Answer = { reply_id: IDS.reply_id, results, confirmations, hint, decided_by: 'alice', cause };
    for (const it of named) it.status = 'decided';
    const ids = new Set(named.map((it) => it.tool_call_id));
    this.openCalls = this.openCalls.filter((it) => !ids.has(it.tool_call_id));
    this.signals.push({ id: newId(), run_id: IDS.run_id, kind: 'answer', payload: answer });
    if (this.status === 'waiting') this.next = 'resumed';
    else this.seen.add('answered at work');
    return true;
  }

  /** Somebody tells the session something. */
  tell(): void {
    this.signals.push({ id: newId(), run_id: null, kind: 'hint', payload: this.hint() });
  }

  private hint(): HintBlock {
    const id = newId();
    const now = new Date().toISOString();
    return { type: 'hint', id, hint: 'By the way.', source: null, created_at: now, finished_at: now };
  }

  protected requestStop(held: HeldSession): void {
    this.seen.add('stopped');
    this.stop = 'interrupt';
    for (const it of this.pending) it.status = 'voided';
    if (this.status === 'waiting') this.signals.push({ id: newId(), run_id: IDS.run_id, kind: 'stop', payload: null });
    // Half of the time a write tells the holder first.
    if (this.chance.hits(0.5)) held.stop(IDS.run_id, 'interrupt');
    else setTimeout(() => held.stop(IDS.run_id, 'interrupt'), 5);
  }

  protected taken(seq: number): TakenRun {
    return {
      ...IDS,
      user_id: 'alice',
      attempt: 1,
      work_ms: 0,
      stop: this.stop,
      open_calls: this.openCalls.map((it) => it.tool_call_id),
      messages: [],
      last_seq: seq,
      state: {},
      state_before: null,
      structured_schema: this.structured,
    };
  }

  protected check(): void {
    if (this.status !== 'running') this.repair();
    if (this.status === 'waiting' && this.stop === null) this.checkWaiting();
    if (this.status === 'ended') this.checkHints();
  }

  protected checkpoint(it: Checkpoint) {
    this.record(it);
    const hints = this.signals.filter((signal) => signal.kind === 'hint').length;
    if (this.stop !== null) return { outcome: 'stopped', mode: this.stop, hints };
    return { outcome: 'held', hints };
  }

  protected park(it: Park, known: readonly string[]) {
    if (this.stop !== null) return { outcome: 'stopped', mode: this.stop };
    this.record(it);
    const isStill = (id: string) => this.openCalls.some((open) => open.tool_call_id === id);
    this.openCalls = it.open_calls.filter(({ tool_call_id: id }) => !known.includes(id) || isStill(id));
    for (const { kind, tool_call_id, input } of it.approvals) {
      if (this.approvals.some((asked) => asked.tool_call_id === tool_call_id && asked.kind === kind)) continue;
      this.approvals.push({ kind, tool_call_id, input, status: 'pending' });
    }
    this.ending = it.ending.frames === '' ? null : it.ending;
    this.status = 'waiting';
    this.next = 'resumed';
    this.seen.add('parked');
    return { outcome: 'released' };
  }

  protected finish(it: Finish) {
    if (this.stop !== null && it.status === 'completed') return { outcome: 'stopped', mode: this.stop };
    this.record(it);
    if (it.voids) for (const asked of this.pending) asked.status = 'voided';
    this.ending = it.ending;
    this.status = 'ended';
    this.failed = it.status === 'failed';
    this.seen.add(it.status);
    return { outcome: 'released' };
  }

  private record({ step, last_seq, consumed }: Checkpoint): void {
    const { reply_id, position, data } = step;
    this.rows.set(step.step, structuredClone({ reply_id, step: step.step, position, data }));
    this.signals = this.signals.filter(({ id }) => !consumed.includes(id));
    this.lastSeq = last_seq;
    this.ending = null;
    const steps = [...this.rows.keys()].sort((a, b) => a - b);
    if (steps.some((number, index) => number !== index)) throw new Error(`steps ${steps.join()} are on record`);
  }

  protected append({ frames, last }: Pick<AppendBatch, 'frames' | 'last'>): 'ok' {
    for (const { json } of eachFrame(Buffer.from(frames))) this.events.push(JSON.parse(json) as AgentEvent);
    this.top = last;
    return 'ok';
  }

  /** What was on record and not in the log: its end is said by others, before that is a hole. */
  protected repair(): void {
    const { ending, lastSeq, top } = this;
    if (top >= lastSeq) return;
    if (ending !== null && top === ending.seq - 1) {
      this.append({ frames: ending.frames, last: lastSeq });
      this.seen.add('ending repaired');
      return;
    }
    this.events = structuredClone(expand(this.transcript, REF));
    this.top = lastSeq;
    this.seen.add('read again');
  }

  /** Whoever answers what is asked brings the run on, and nothing that was decided waits for that. */
  private checkWaiting(): void {
    const asked = this.pending.map((it) => `${it.kind} ${it.tool_call_id}`).sort();
    const open = this.openCalls.map((it) => `${it.kind} ${it.tool_call_id}`).sort();
    if (asked.join() !== open.join()) throw new Error(`it waits for ${open.join()}, and asks about ${asked.join()}`);
    const answers = this.signals.some((it) => it.kind === 'answer');
    if (open.length === 0 && !answers) throw new Error('it waits for nobody');
    if (answers) this.next = 'resumed';
    const content = this.transcript.flatMap((it) => it.content);
    const has = (id: string) => content.some((it) => it.type === 'tool_result' && it.id === id);
    const left = content.filter(
      (it): it is ToolCallBlock => it.type === 'tool_call' && !has(it.id) && ['allowed', 'finished'].includes(it.state),
    );
    if (left.length > 0) throw new Error(`${left.map((it) => it.id).join()} was decided, and waits`);
  }

  /** A hint is heard once; a reply that failed leaves none behind, which would wake the session for the same failure. */
  private checkHints(): void {
    const waiting = this.signals.filter((it) => it.kind === 'hint').map((it) => (it.payload as HintBlock).id);
    const said = this.transcript.flatMap((it) => it.content).flatMap((it) => (it.type === 'hint' ? [it.id] : []));
    if (new Set(said).size < said.length) throw new Error('a hint is said twice');
    if (this.failed && waiting.length > 0) throw new Error('a reply that failed leaves hints');
    const both = waiting.filter((id) => said.includes(id));
    if (both.length > 0) throw new Error('a hint that was said waits');
  }
}
