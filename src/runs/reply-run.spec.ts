import { describe, expect, it } from '@jest/globals';
import { ContextConfig } from '../agents/agent.schema.js';
import type { AgentRecord } from '../agents/agent.store.js';
import { Principal } from '../auth/principal.js';
import { Toolkit } from '../core/agent/toolkit.js';
import { noShell, tool } from '../core/testing/reply-harness.js';
import { permissionContext } from '../core/permissions/permission-context.js';
import { finish, ScriptedModel, toolCall } from '../core/testing/scripted-model.js';
import { LocalEventLog } from '../events/local-event-log.js';
import type { SessionRecord } from '../sessions/session.store.js';
import { EventWriter } from './event-writer.js';
import { HeldSession } from './held-session.js';
import { ReplyRun } from './reply-run.js';
import type { Checkpoint, Finish, Park, TakenRun } from './run.store.js';
import type { Stretch } from './stretch.js';

const LEASE = { tenant_id: 't', session_id: 's', owner: 'n', token: 1 };
const RUN: TakenRun = {
  run_id: 'run',
  reply_id: 'reply',
  user_id: 'alice',
  attempt: 1,
  work_ms: 0,
  stop: null,
  open_calls: [],
  messages: [],
  last_seq: 0,
  state: {},
  state_before: null,
  structured_schema: null,
};

describe('a reply that is stopped while it comes to its rest', () => {
  it('puts the model call on record that led there', async () => {
    const held = new HeldSession(LEASE, 60_000, performance.now());
    held.beginRun(RUN.run_id, null);
    const log = new LocalEventLog({ max_entries: 10, ttl_seconds: 60 });
    const ignore = () => undefined;
    const heard = { onFenced: ignore, onLost: ignore, onError: ignore };
    const writer = new EventWriter(log, { lease: LEASE, seq: 0, prev: 0, verify: async () => true, ...heard });
    const ask = tool('ask', async function* () {}, { is_external: true });
    const model = new ScriptedModel([[...toolCall('a', 'ask'), finish(7, 3)]]);
    const parked: Park[] = [];
    const checkpoints: Checkpoint[] = [];
    const finished: Finish[] = [];
    const store = {
      park: async (_lease: unknown, park: Park) => (parked.push(park), { outcome: 'stopped', mode: 'interrupt' }),
      checkpoint: async (_lease: unknown, step: Checkpoint) => (checkpoints.push(step), { outcome: 'held', hints: 0 }),
      finish: async (_lease: unknown, end: Finish) => (finished.push(end), { outcome: 'released' }),
    };
    const runs = { stop_ms: 1000, idle_ms: 60_000, work_ms: 60_000, model_retries: 0, approval_ttl_ms: 1000 };
    const stretch = {
      resources: { store, config: { runs }, logger: { warn: ignore, error: ignore } },
      held,
      writer,
      lost: false,
      persist: (write: () => Promise<unknown>) => write(),
      conclude: ignore,
    } as unknown as Stretch;
    const assembly = {
      principal: new Principal('t', 'alice'),
      session: {} as SessionRecord,
      agent: {
        id: 'agent',
        data: {
          name: 'agent',
          system_prompt: '',
          react_config: { max_iters: 5 },
          context_config: ContextConfig.parse({}),
        },
      } as unknown as AgentRecord,
      model: { model, parameters: {} },
      fallback: null,
      toolkit: new Toolkit([ask]),
      middleware: [],
      offload: { put: () => Promise.reject(new Error('nothing is put aside here')), read: () => Promise.resolve(null) },
      permissions: permissionContext('bypass'),
      shellParser: noShell,
    };
    const preparation = {
      run: RUN,
      history: [],
      assembly,
      failure: undefined,
      reopened: null,
      signals: [],
      consumed: [],
    };

    expect(await new ReplyRun(stretch, preparation).play()).toEqual({ outcome: 'released' });
    expect(parked[0]?.calls).toEqual([expect.objectContaining({ input_tokens: 7, output_tokens: 3 })]);
    expect(finished[0]).toMatchObject({ status: 'interrupted', usage: { input_tokens: 7, output_tokens: 3 } });
    expect([...checkpoints, ...finished].flatMap(({ calls }) => calls)).toEqual(parked[0]?.calls);
  });
});
