import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Principal } from '../../src/auth/principal.js';
import type { PermissionRule } from '../../src/core/messages/block.js';
import { MAX_SESSION_RULES } from '../../src/sessions/session.schema.js';
import { resultOf, sha256 } from '../../src/runs/answers.js';
import { answerOf, confirmationOf, inputOf } from './run-store-answers.js';
import { alice, finishOf, input, Ledger, parkOf } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const rule = (rule_content: string | null, source = 'confirmation'): PermissionRule => ({
  tool_name: 'ask',
  rule_content,
  behavior: 'allow',
  source,
});

const statuses = async (session: string) => (await ledger.approvals(session)).map((it) => it.status);

const hint = (id: string) => ({
  type: 'hint' as const,
  id,
  hint: 'Do something else',
  source: null,
  created_at: '2026-11-21T10:00:00.000Z',
  finished_at: '2026-11-21T10:00:00.000Z',
});

describe('a parked run', () => {
  it('has an approval for each call, of its own user, that ends on the clock of the database', async () => {
    const { session, run } = await ledger.parked('ask1', 'c1');
    const [asked, external] = await ledger.approvals(session);
    const { run_id, reply_id } = run;
    const common = { tenant_id: 'acme', user_id: 'alice', session_id: session, run_id, reply_id, status: 'pending' };
    const question = { tool_call_id: 'ask1', kind: 'confirm', tool_name: 'ask', message: 'Why not?' };
    const nothing = { decided_at: null, decided_by: null, decision: null, answer_hash: null };
    const text = { input: inputOf('ask1'), input_hash: sha256(inputOf('ask1')) };
    expect(asked).toMatchObject({ ...common, ...question, ...nothing, ...text, suggested_rules: [] });
    expect(external).toMatchObject({ ...common, tool_call_id: 'c1', kind: 'external' });
    const [ttl] = await ledger.sql(
      `SELECT extract(epoch FROM expires_at - created_at)::int AS s, created_at <= now() AS was FROM approvals`,
    );
    expect(ttl).toEqual({ s: 3600, was: true });
  });

  it('keeps the approval of a call when that is asked about again', async () => {
    const { session, run } = await ledger.parked('ask1', 'c1');
    const before = await ledger.approvals(session);
    await ledger.answer(session, run, 'c1');
    const claim = (await ledger.claimOf(session))!;
    const consumed = claim.signals.map((signal) => signal.id);
    await ledger.store.park(claim.lease, parkOf(run, 8, ['ask1', 'ask2'], { consumed, known_calls: ['ask1'] }));
    const after = await ledger.approvals(session);
    expect(after.map((it) => [it.tool_call_id, it.status])).toEqual([
      ['ask1', 'pending'],
      ['ask2', 'pending'],
      ['c1', 'answered'],
    ]);
    expect(after[0]).toEqual(before[0]);
  });

  it('asks anew when a call that was let run is to be executed outside', async () => {
    const { session, run } = await ledger.parked('ask1');
    const yes = confirmationOf(run, ['ask1']);
    await ledger.store.answer(alice, session, yes);
    const claim = (await ledger.claimOf(session))!;
    const consumed = claim.signals.map((signal) => signal.id);
    const { approvals } = parkOf(run, 8, ['ask1']);
    const open_calls = [{ tool_call_id: 'ask1', name: 'ask', kind: 'external' as const }];
    const outside = approvals.map((approval) => ({ ...approval, kind: 'external' as const }));
    await ledger.store.park(claim.lease, parkOf(run, 8, [], { consumed, open_calls, approvals: outside }));
    expect((await statuses(session)).sort()).toEqual(['approved', 'pending']);
    expect((await ledger.store.answer(alice, session, yes)).outcome).toBe('repeated');
    expect((await ledger.answer(session, run, 'ask1')).outcome).toBe('resumed');
    expect((await statuses(session)).sort()).toEqual(['answered', 'approved']);
  });

  it('of a holder that was fenced or is to stop asks nobody', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.park({ ...held, token: 9 }, parkOf(run, 5, ['ask1']));
    await ledger.stop(session);
    await ledger.store.park(held, parkOf(run, 5, ['ask1']));
    expect(await ledger.approvals(session)).toEqual([]);
  });
});

describe('a confirmation', () => {
  it('decides its call, and the run goes on with it', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    const edited = { input: '{"a":1}', comment: 'like this' };
    const yes = confirmationOf(run, ['ask1'], edited);
    expect(await ledger.store.answer(alice, session, yes)).toEqual({ outcome: 'resumed', run_id: run.run_id });
    const decided = { decided_by: 'alice', decided_at: expect.any(Date), answer_hash: expect.any(String) };
    const decision = { edited_input: '{"a":1}', comment: 'like this' };
    expect((await ledger.approvals(session))[0]).toMatchObject({ status: 'approved', ...decided, decision });
    const no = confirmationOf(run, ['ask2'], { confirmed: false, comment: 'never' });
    expect((await ledger.store.answer(alice, session, no)).outcome).toBe('resumed');
    expect((await ledger.approvals(session))[1]).toMatchObject({ status: 'rejected', decision: { comment: 'never' } });
    expect(await ledger.run(run.run_id)).toMatchObject({ open_calls: [] });
    const claim = await ledger.claimOf(session);
    expect(claim?.signals.map((signal) => signal.payload)).toEqual([yes, no]);
  });

  it('comes with results in one answer', async () => {
    const { session, run } = await ledger.parked('ask1', 'c1');
    const both = { ...confirmationOf(run, ['ask1']), results: answerOf(run, 'c1').results };
    expect((await ledger.store.answer(alice, session, both)).outcome).toBe('resumed');
    expect(await statuses(session)).toEqual(['approved', 'answered']);
    expect(await ledger.inputs(session)).toMatchObject([{ kind: 'answer', payload: both }]);
    expect(await ledger.row(session)).toMatchObject({ signals: 1 });
  });

  it('said again is the same, said otherwise is not awaited', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    const yes = confirmationOf(run, ['ask1'], { rules: [rule('a *')] });
    await ledger.store.answer(alice, session, yes);
    const before = await ledger.approvals(session);
    const repeated = { outcome: 'repeated', run_id: run.run_id };
    const refused = { outcome: 'not_awaited', tool_call_ids: ['ask1'] };
    const others = [{ confirmed: false }, { input: '{}' }, { comment: 'x' }, { rules: [] }, { input_hash: 'x' }];
    for (let round = 0; round < 3; round++) {
      expect(await ledger.store.answer(alice, session, yes)).toEqual(repeated);
      for (const other of others) {
        const changed = confirmationOf(run, ['ask1'], { rules: [rule('a *')], ...other });
        expect(await ledger.store.answer(alice, session, changed)).toEqual(refused);
      }
      const [claim] = await ledger.claim();
      if (claim) await ledger.store.finish(claim.lease, finishOf(run, 9 + round));
    }
    expect((await ledger.approvals(session))[0]).toEqual(before[0]);
  });

  it('is refused as a whole when one of its calls is', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2', 'c1');
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    const refuse = async (answer: ReturnType<typeof answerOf>, ...tool_call_ids: string[]) =>
      expect(await ledger.store.answer(alice, session, answer)).toEqual({ outcome: 'not_awaited', tool_call_ids });
    await refuse(confirmationOf(run, ['ask1', 'ask2']), 'ask1');
    await refuse(confirmationOf(run, ['ask2', 'ask2']), 'ask2');
    await refuse(confirmationOf(run, ['ask2'], { input_hash: sha256('{}') }), 'ask2');
    await refuse(confirmationOf(run, ['c1']), 'c1');
    await refuse(answerOf(run, 'ask2'), 'ask2');
    expect(await statuses(session)).toEqual(['approved', 'pending', 'pending']);
    expect(await ledger.inputs(session)).toHaveLength(1);
    const bob = new Principal('acme', 'bob');
    expect((await ledger.store.answer(bob, session, confirmationOf(run, ['ask1']))).outcome).toBe('not_awaited');
  });
});

describe('rules of a confirmation', () => {
  it('become the configuration of the session, each once', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2', 'ask3');
    await ledger.sessions.update(alice, session, (config) => ({ ...config, permission_rules: [rule('a', 'user')] }));
    const given = [rule('a'), rule('b'), rule('b'), rule(''), rule(null)];
    const before = await ledger.sessions.get(alice, session);
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1'], { rules: given }));
    const after = await ledger.sessions.get(alice, session);
    expect(after?.config).toEqual({ ...before?.config, permission_rules: [rule('a', 'user'), rule('b'), rule(null)] });
    expect(after?.version).toBe((before?.version ?? 0) + 1);
    expect(after?.updated_at.getTime()).toBeGreaterThan(before?.updated_at.getTime() ?? Infinity);
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask2'], { rules: [rule('b')] }));
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask3'], { confirmed: false, rules: [rule('z')] }));
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ version: after?.version, config: after?.config });
  });

  it('are bounded: nothing of an answer that brings too many is applied', async () => {
    const { session, run } = await ledger.parked('ask1');
    const full = Array.from({ length: MAX_SESSION_RULES }, (_, n) => rule(`r${n}`));
    await ledger.sessions.update(alice, session, (config) => ({ ...config, permission_rules: full.slice(1) }));
    const refused = confirmationOf(run, ['ask1'], { rules: [rule('x'), rule('y')] });
    expect(await ledger.store.answer(alice, session, refused)).toEqual({ outcome: 'too_many_rules' });
    expect(await statuses(session)).toEqual(['pending']);
    expect(await ledger.inputs(session)).toEqual([]);
    const fits = confirmationOf(run, ['ask1'], { rules: [rule('x'), rule('r5')] });
    expect((await ledger.store.answer(alice, session, fits)).outcome).toBe('resumed');
    const record = await ledger.sessions.get(alice, session);
    expect(record?.config.permission_rules).toHaveLength(MAX_SESSION_RULES);
  });
});

describe('turnDown', () => {
  it('rejects all that is open, and the run goes on with the hint', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2', 'c1');
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    const resumed = { outcome: 'resumed', run_id: run.run_id };
    expect(await ledger.store.turnDown(alice, session, hint('m1'))).toEqual(resumed);
    expect(await statuses(session)).toEqual(['approved', 'rejected', 'rejected']);
    expect((await ledger.approvals(session))[1]).toMatchObject({ decided_by: 'alice', decision: { message_id: 'm1' } });
    const claim = await ledger.claimOf(session);
    const output = [expect.objectContaining({ text: 'The user said something else instead.' })];
    expect(claim?.signals[1]?.payload).toMatchObject({
      reply_id: run.reply_id,
      cause: 'message',
      hint: hint('m1'),
      confirmations: [{ tool_call_id: 'ask2', confirmed: false }],
      results: [{ id: 'c1', name: 'ask', state: 'error', output }],
    });
    for (let round = 0; round < 2; round++) {
      expect(await ledger.store.turnDown(alice, session, hint('m1'))).toEqual({ ...resumed, outcome: 'repeated' });
      await ledger.store.finish(claim!.lease, finishOf(run, 9));
    }
    expect(await ledger.store.turnDown(alice, session, hint('m2'))).toEqual({ outcome: 'idle' });
  });

  it('finds nothing to reject in a session that is not parked, stopped or of somebody else', async () => {
    const idle = { outcome: 'idle' };
    expect(await ledger.store.turnDown(alice, await ledger.newSession(), hint('m'))).toEqual(idle);
    expect(await ledger.store.turnDown(alice, (await ledger.working()).session, hint('m'))).toEqual(idle);
    const { session } = await ledger.parked('ask1');
    expect(await ledger.store.turnDown(new Principal('acme', 'bob'), session, hint('m'))).toEqual(idle);
    expect((await ledger.store.turnDown(new Principal('x', 'alice'), session, hint('m'))).outcome).toBe('gone');
    await ledger.stop(session);
    expect(await ledger.store.turnDown(alice, session, hint('m'))).toEqual(idle);
  });
});

describe('a stop', () => {
  it('voids what a parked run asked', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    await ledger.stop(session);
    expect(await statuses(session)).toEqual(['approved', 'voided']);
    expect((await ledger.approvals(session))[1]).toMatchObject({ decided_by: 'alice', decided_at: expect.any(Date) });
    const late = confirmationOf(run, ['ask2']);
    expect((await ledger.store.answer(alice, session, late)).outcome).toBe('not_awaited');
    expect(await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']))).toMatchObject({
      outcome: 'repeated',
    });
  });

  it('voids what a run at work had asked; one of another run leaves it', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    const queued = input(session, 'b');
    await ledger.queue(queued);
    await ledger.stop(session, 'interrupt', queued.run_id);
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    await ledger.claimOf(session);
    expect(await statuses(session)).toEqual(['approved', 'pending']);
    await ledger.stop(session, 'rollback');
    expect(await statuses(session)).toEqual(['approved', 'voided']);
  });
});

it('the end of a run that was parked voids what nobody answered', async () => {
  const { session, run } = await ledger.parked('ask1', 'ask2');
  await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
  const { lease, signals } = (await ledger.claimOf(session))!;
  const consumed = signals.map((signal) => signal.id);
  await ledger.store.finish({ ...lease, token: 99 }, finishOf(run, 9, { voids: true, consumed, status: 'failed' }));
  expect(await statuses(session)).toEqual(['approved', 'pending']);
  await ledger.store.finish(lease, finishOf(run, 9, { voids: true, consumed, status: 'failed' }));
  expect(await statuses(session)).toEqual(['approved', 'voided']);
  const result = resultOf('x', 'ask', 'success', 'late');
  expect(await ledger.store.answer(alice, session, { ...answerOf(run), results: [result] })).toMatchObject({
    outcome: 'not_awaited',
  });
});
