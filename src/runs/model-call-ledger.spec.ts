import { describe, expect, it } from '@jest/globals';
import type { AgentRecord } from '../agents/agent.store.js';
import { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import { Toolkit } from '../core/agent/toolkit.js';
import { NO_USAGE } from '../core/messages/message.js';
import { at, events, modelEnd } from '../core/testing/event-builders.js';
import { permissionContext } from '../core/permissions/permission-context.js';
import { noShell } from '../core/testing/reply-harness.js';
import { ScriptedModel } from '../core/testing/scripted-model.js';
import type { SessionRecord } from '../sessions/session.store.js';
import type { Assembly } from './assembler.js';
import { ModelCallLedger } from './model-call-ledger.js';

const prices = { currency: 'USD', input: 2, output: 10, cache_input: null, cache_creation: null };
const bound = (name: string, more: Partial<BoundModel> = {}): BoundModel => ({
  model: new ScriptedModel([], name),
  parameters: {},
  credential_id: `${name}-credential`,
  ...more,
});

const assembly: Assembly = {
  principal: new Principal('acme', 'alice'),
  session: {} as SessionRecord,
  agent: { id: 'agent' } as AgentRecord,
  model: bound('first', { prices }),
  fallback: bound('second'),
  toolkit: new Toolkit(),
  middleware: [],
  offload: { put: () => Promise.reject(new Error('nothing is put aside here')), read: () => Promise.resolve(null) },
  permissions: permissionContext('bypass'),
  shellParser: noShell,
};

function ledgerOf(...bodies: Parameters<typeof events>): ModelCallLedger {
  const ledger = new ModelCallLedger(assembly);
  for (const event of events(...bodies)) ledger.see(event);
  return ledger;
}

const start = (model_name: string, is_fallback = false) =>
  ({ type: 'MODEL_CALL_START', model_name, provider: 'p', attempt: 1, is_fallback }) as const;

describe('ModelCallLedger', () => {
  it('charges a call to the model that made it, at its price', () => {
    const first = { model_name: 'first', provider: 'p', attempt: 2, is_fallback: false };
    const usage = { ...NO_USAGE, input_tokens: 1000, output_tokens: 100 };
    const [call] = ledgerOf(start('first'), { ...modelEnd, ...first, ...usage }).pending;
    expect(call).toEqual({
      id: expect.any(String),
      agent_id: 'agent',
      user_id: 'alice',
      credential_id: 'first-credential',
      provider: 'p',
      model: 'first',
      attempt: 2,
      is_fallback: false,
      outcome: 'completed',
      error_type: null,
      ...usage,
      cost: '0.003000000000',
      currency: 'USD',
      started_at: at(0),
      ended_at: at(1),
    });
  });

  it('charges the fallback to its own credential; without a price there is no cost', () => {
    const end = { ...modelEnd, ...NO_USAGE, model_name: 'second', is_fallback: true };
    const [call] = ledgerOf(start('second', true), end).pending;
    expect(call).toMatchObject({ credential_id: 'second-credential', is_fallback: true, cost: null, currency: null });
  });

  it.each([
    ['completed', { finished_reason: 'completed' }],
    ['interrupted', { finished_reason: 'interrupted' }],
    ['failed', { finished_reason: 'interrupted', error_type: 'upstream' }],
  ] as const)('tells that a call %s', (outcome, end) => {
    expect(ledgerOf(start('first'), { ...modelEnd, ...end }).pending).toMatchObject([{ outcome }]);
  });

  it('keeps what ended after a write was begun for the next one', () => {
    const ledger = ledgerOf(start('first'), modelEnd);
    const written = ledger.pending;
    for (const event of events(start('first'), modelEnd)) ledger.see(event);
    ledger.written(written);
    expect(ledger.pending).toHaveLength(1);
    expect(ledger.pending).not.toContain(written[0]);
  });

  it('has nobody to charge for a reply that could not be prepared', () => {
    const ledger = new ModelCallLedger(undefined);
    for (const event of events(start('first'), modelEnd)) ledger.see(event);
    expect(ledger.pending).toEqual([]);
  });
});
