import { ContextConfig } from '../../agents/agent.schema.js';
import type { AgentRecord } from '../../agents/agent.store.js';
import { Principal } from '../../auth/principal.js';
import { Toolkit } from '../../core/agent/toolkit.js';
import { ModelError } from '../../core/models/chat-model.js';
import type { Chance } from '../../core/testing/chance.js';
import { RandomModel, randomPermissions, randomTools } from '../../core/testing/fuzzed-tools.js';
import { noShell } from '../../core/testing/reply-harness.js';
import type { AppendBatch, EventLog } from '../../events/event-log.js';
import type { SessionRecord } from '../../sessions/session.store.js';
import type { Assembly } from '../assembler.js';
import { EventWriter } from '../event-writer.js';
import { HeldSession } from '../held-session.js';
import { reopen, unpark } from '../recovery.js';
import { ReplyRun } from '../reply-run.js';
import type { Checkpoint, Finish, Park } from '../run.store.js';
import type { Stretch } from '../stretch.js';
import { IDS, MemoryLedger, REF } from './memory-ledger.js';

const SEQ_JUMP = 2 ** 20;
const LIMITS = {
  stop_ms: 50,
  idle_ms: 60_000,
  work_ms: 60_000,
  tool_timeout_ms: 60_000,
  model_retries: 0,
  approval_ttl_ms: 1000,
};

class Killed extends Error {}

/**
 * One random run and what becomes of it in the hands of several holders, that die before or after any of their writes, leave, or are told to
 * stop while answers come in. What must never happen is thrown at once.
 */
export class RecordedRun extends MemoryLedger {
  private readonly ran = new Map<string, number>();
  private readonly tools;
  private readonly permissions;
  private attempts = 0;
  private broken: Error | undefined;
  private kill: () => void = () => undefined;
  private strike: () => void = () => undefined;

  constructor(chance: Chance) {
    super(chance);
    this.tools = randomTools(chance, (name, { tool_call_id }) => this.begun(name, tool_call_id));
    this.permissions = randomPermissions(chance);
  }

  /** One holder of the run: until it ends, parks, or the holder is gone. */
  async attempt(): Promise<void> {
    const { chance } = this;
    this.attempts += 1;
    this.repair();
    const kind = this.next;
    const jump = kind === 'abandoned' ? SEQ_JUMP : 0;
    const held = new HeldSession({ ...REF, owner: 'n', token: this.attempts }, 60_000, performance.now());
    const log = { append: async (batch: AppendBatch) => this.append(batch) } as unknown as EventLog;
    const ignore = () => undefined;
    const heard = { onFenced: ignore, onLost: ignore, onError: ignore };
    const seq = this.lastSeq + jump;
    const writer = new EventWriter(log, { lease: held.lease, seq, prev: seq, verify: async () => true, ...heard });
    this.kill = () => {
      this.seen.add('killed');
      writer.stop();
      held.lose();
    };
    const leave = () => {
      this.seen.add('left');
      held.leave();
    };
    const fault = this.faults && chance.hits(0.5) ? chance.pick(['kill', 'leave', 'stop'] as const) : 'none';
    this.strike = () => {
      if (fault === 'kill') this.kill();
      else if (fault === 'stop') this.requestStop(held);
      else leave();
    };
    this.status = 'running';
    held.beginRun(IDS.run_id, this.stop);
    const strikeAt = chance.between(0, 5);
    let writes = 0;
    const write = async <T>(what: () => T): Promise<T> => {
      await new Promise((resolve) => setImmediate(resolve));
      if (held.lost) throw new Killed();
      const now = fault !== 'none' && writes++ === strikeAt;
      const before = chance.hits(0.5);
      if (now && before) this.strike();
      if (held.lost) throw new Killed();
      if (this.faults && chance.hits(0.2)) this.answer(0.5);
      const result = what();
      if (now && !before) this.strike();
      if (held.lost) throw new Killed();
      return result;
    };
    const run = this.taken(seq);
    const signals = structuredClone(this.signals);
    const known = this.openCalls.map((it) => it.tool_call_id);
    const store = {
      hints: async () => structuredClone(this.signals.filter((it) => it.kind === 'hint')),
      checkpoint: (_lease: unknown, it: Checkpoint) => write(() => this.checkpoint(it)),
      park: (_lease: unknown, it: Park) => write(() => this.park(it, known)),
      finish: (_lease: unknown, it: Finish) => write(() => this.finish(it)),
    };
    const stretch = {
      resources: { store, config: { runs: LIMITS }, logger: { warn: ignore, error: ignore } },
      held,
      writer,
      lost: false,
      persist: async (work: () => Promise<unknown>) => {
        try {
          return held.lost ? undefined : await work();
        } catch (error) {
          if (error instanceof Killed) return undefined;
          throw error;
        }
      },
      conclude: ignore,
      handOver: async () => {
        if (held.lost) return;
        this.seen.add('handed over');
        this.lastSeq = writer.last_seq;
        this.next = 'handed_over';
      },
    } as unknown as Stretch;
    this.next = 'abandoned';
    const isFailing = this.faults && chance.hits(0.05);
    const assembly = isFailing ? undefined : this.assembly();
    const toolkit = assembly?.toolkit ?? new Toolkit();
    const rows = [...this.rows.values()].sort((a, b) => a.step - b.step).map((row) => structuredClone(row));
    const reopened =
      kind === 'next'
        ? null
        : kind === 'resumed'
          ? unpark(rows, signals, run, 'agent')
          : reopen(rows, signals, run, 'agent', toolkit);
    if (reopened?.rewound) writer.emit(reopened.rewound);
    const consumed = signals.filter((it) => it.run_id === IDS.run_id).map((it) => it.id);
    const failure = isFailing ? new ModelError('setup', 'not prepared') : undefined;
    const preparation = { run, history: [], assembly, failure, reopened, signals, consumed };
    await new ReplyRun(stretch, preparation).play();
    await writer.settle();
    if (this.broken !== undefined) throw this.broken;
    this.check();
  }

  private begun(name: string, id: string): void {
    const times = (this.ran.get(id) ?? 0) + 1;
    this.ran.set(id, times);
    const tool = this.tools.find((it) => it.name === name);
    if (times > 1 && tool?.is_idempotent !== true) this.broken ??= new Error(`${id} runs again`);
    if (times > 1) this.seen.add('run again');
    if (this.declined.has(id)) this.broken ??= new Error(`${id} runs, and was declined`);
    if (this.faults && this.chance.hits(0.03)) this.kill();
  }

  private assembly(): Assembly {
    const model = new RandomModel(
      this.chance.fork(),
      () => void setImmediate(() => this.strike()),
      () => this.faults,
    );
    // Ids of an attempt are its own.
    const stream = model.stream.bind(model);
    const prefix = `${this.attempts}.`;
    model.stream = async function* (call) {
      for await (const part of stream(call)) yield 'id' in part ? { ...part, id: `${prefix}${part.id}` } : part;
    };
    const data = {
      name: 'agent',
      system_prompt: '',
      react_config: { max_iters: 6, structured_output_grace_iters: 2 },
      context_config: ContextConfig.parse({}),
    };
    return {
      principal: new Principal('t', 'alice'),
      session: {} as SessionRecord,
      agent: { id: 'agent', data } as unknown as AgentRecord,
      model: { model, parameters: {} },
      fallback: null,
      toolkit: new Toolkit(this.tools, { groups: [{ name: 'group', description: 'group', active: true }] }),
      middleware: [],
      offload: { put: () => Promise.reject(new Error('nothing is put aside here')), read: () => Promise.resolve(null) },
      permissions: this.permissions,
      shellParser: noShell,
    };
  }
}
