import type { ApprovalStatus, CallKind } from '../../approvals/approval.store.js';
import { Principal } from '../../auth/principal.js';
import type { HintBlock, PermissionRule } from '../../core/messages/block.js';
import type { Database, Row, Sql } from '../../platform/database/database.js';
import { newId } from '../../platform/ids.js';
import type { SessionRef } from '../../platform/redis/keys.js';
import { MAX_SESSION_RULES } from '../../sessions/session.schema.js';
import { type Answer, type Answered, resultOf, type SettledCall, settledBy, type TurnedDown } from '../answers.js';
import * as queries from './answer.sql.js';
import { LOCK } from './lease.sql.js';

interface Asked extends Row {
  tool_call_id: string;
  tool_name: string;
  kind: CallKind;
  status: ApprovalStatus;
  input_hash: string;
  answer_hash: string | null;
  run_id: string;
  reply_id: string;
  user_id: string;
  is_open: boolean;
}

const DECIDED: ReadonlySet<ApprovalStatus> = new Set(['approved', 'rejected', 'answered']);

const SAID_OTHERWISE = 'The user said something else instead.';
const NOT_IN_TIME = '<system-reminder>Nobody answered this call in time.</system-reminder>';

/** Answers to calls that wait for somebody. All writers of approvals hold the row of the lease: what is read under it stands. */
export class CallAnswers {
  constructor(private readonly database: Database) {}

  answer(principal: Principal, sessionId: string, answer: Answer): Promise<Answered> {
    return this.locked<Answered>(principal, sessionId, (sql) => settle(sql, principal, sessionId, answer));
  }

  turnDown(principal: Principal, sessionId: string, hint: HintBlock): Promise<TurnedDown> {
    const { tenant_id, user_id } = principal;
    return this.locked<TurnedDown>(principal, sessionId, async (sql) => {
      const of = [tenant_id, sessionId, user_id];
      const [before] = await sql.run<{ run_id: string }>('approval-turned-down', queries.TURNED_DOWN, [...of, hint.id]);
      if (before) return { outcome: 'repeated', run_id: before.run_id };
      const said = await sql.run('approval-said-before', queries.SAID_BEFORE, [tenant_id, sessionId, hint.id]);
      if (said.length > 0) return { outcome: 'idle' };
      const asked = await sql.run<Asked>('approval-awaited', queries.AWAITED, of);
      const [first] = asked;
      if (!first) return { outcome: 'idle' };
      const refusal = { ...refusalOf(asked, SAID_OTHERWISE), hint, decided_by: user_id, cause: 'message' as const };
      await write(sql, principal.tenant_id, sessionId, first.run_id, refusal);
      return { outcome: 'resumed', run_id: first.run_id };
    });
  }

  /** A session that cannot be brought on keeps no other one waiting. */
  async expire(limit: number): Promise<SessionRef[]> {
    const found = await this.database.run<SessionRef & Row>('approval-overdue', queries.OVERDUE_SESSIONS, [limit]);
    const gone: SessionRef[] = [];
    let failure: { error: unknown } | undefined;
    for (const ref of found) {
      try {
        if (await this.expireIn(ref)) gone.push(ref);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined && gone.length === 0) throw failure.error;
    return gone;
  }

  /** True when the run of the session goes on. Somebody may have answered, stopped or deleted it since it was found. */
  private async expireIn({ tenant_id, session_id }: SessionRef): Promise<boolean> {
    return this.database.transaction(async (sql) => {
      const locked = await sql.run('run-lock', LOCK, [tenant_id, session_id]);
      if (locked.length === 0) return false;
      const overdue = await sql.run<Asked>('approval-overdue-of', queries.OVERDUE, [tenant_id, session_id]);
      const byReply = Map.groupBy(overdue, (asked) => asked.reply_id);
      let goesOn = false;
      for (const [reply_id, asked] of byReply) {
        const open = asked.filter((it) => it.is_open);
        const [first] = open;
        if (first) {
          const refusal = { ...refusalOf(open, NOT_IN_TIME), hint: null, decided_by: null, cause: 'expired' as const };
          await write(sql, tenant_id, session_id, first.run_id, refusal);
          goesOn = true;
        }
        const rest = asked.filter((it) => !it.is_open).map((it) => it.tool_call_id);
        if (rest.length > 0) await sql.run('approval-void', queries.VOID, [tenant_id, session_id, reply_id, rest]);
      }
      return goesOn;
    });
  }

  private locked<T>(
    { tenant_id }: Principal,
    sessionId: string,
    work: (sql: Sql) => Promise<T>,
  ): Promise<T | { outcome: 'gone' }> {
    return this.database.transaction(async (sql) => {
      const rows = await sql.run('run-lock', LOCK, [tenant_id, sessionId]);
      return rows.length === 0 ? { outcome: 'gone' as const } : work(sql);
    });
  }
}

async function settle(sql: Sql, principal: Principal, sessionId: string, answer: Answer): Promise<Answered> {
  const { tenant_id, user_id } = principal;
  const calls = settledBy(answer);
  const ids = calls.map((call) => call.tool_call_id);
  const values = [tenant_id, sessionId, user_id, answer.reply_id, ids];
  const rows = await sql.run<Asked>('approval-asked', queries.ASKED_ABOUT, values);
  const asked = new Map(rows.map((row) => [callKey(row), row]));
  const [first] = rows;
  const named = new Set<string>();
  const refused = calls.filter((call) => {
    const isTwice = named.has(call.tool_call_id);
    named.add(call.tool_call_id);
    return isTwice || !isAwaited(call, asked.get(callKey(call)));
  });
  if (first && calls.every((call) => isRepeated(call, asked.get(callKey(call))))) {
    return { outcome: 'repeated', run_id: first.run_id };
  }
  if (refused.length > 0 || !first) {
    return { outcome: 'not_awaited', tool_call_ids: refused.map((call) => call.tool_call_id) };
  }
  const granted = answer.confirmations.flatMap((it) => (it.confirmed ? it.rules : []));
  if (granted.length > 0 && !(await grant(sql, tenant_id, sessionId, granted))) return { outcome: 'too_many_rules' };
  await write(sql, tenant_id, sessionId, first.run_id, answer);
  return { outcome: 'resumed', run_id: first.run_id };
}

/** A call may be asked about and then handed out: each is a question of its own. */
const callKey = (call: Pick<Asked, 'kind' | 'tool_call_id'>): string => `${call.kind} ${call.tool_call_id}`;

const isAwaited = (call: SettledCall, asked: Asked | undefined): boolean =>
  asked?.is_open === true && (call.input_hash === null || call.input_hash === asked.input_hash);

const isRepeated = (call: SettledCall, asked: Asked | undefined): boolean =>
  asked !== undefined && DECIDED.has(asked.status) && asked.answer_hash === call.answer_hash;

async function write(sql: Sql, tenant: string, sessionId: string, runId: string, answer: Answer): Promise<void> {
  const { reply_id, decided_by } = answer;
  const calls = JSON.stringify(settledBy(answer));
  const values = [tenant, sessionId, reply_id, runId, calls, decided_by, newId(), JSON.stringify(answer)];
  await sql.run('approval-settle', queries.SETTLE, values);
}

/** False when the session would have more rules than it may. A rule that is there already, whatever its source, is not added again. */
async function grant(
  sql: Sql,
  tenant: string,
  sessionId: string,
  granted: readonly PermissionRule[],
): Promise<boolean> {
  const [row] = await sql.run<{ rules: PermissionRule[] }>('approval-lock-rules', queries.LOCK_RULES, [
    tenant,
    sessionId,
  ]);
  const present = row?.rules ?? [];
  const rules = [...new Map([...granted, ...present].map((rule) => [keyOf(rule), rule])).values()];
  const added = rules.filter((rule) => !present.includes(rule));
  if (added.length === 0) return true;
  if (present.length + added.length > MAX_SESSION_RULES) return false;
  await sql.run('approval-store-rules', queries.STORE_RULES, [
    tenant,
    sessionId,
    JSON.stringify([...present, ...added]),
  ]);
  return true;
}

const keyOf = ({ tool_name, rule_content, behavior }: PermissionRule): string =>
  JSON.stringify([tool_name, rule_content ?? '', behavior]);

/** Turns calls down that one reply waits for. */
function refusalOf(asked: readonly Asked[], text: string): Pick<Answer, 'reply_id' | 'results' | 'confirmations'> {
  const base = { confirmed: false, input: null, rules: [], comment: null };
  return {
    reply_id: asked[0]?.reply_id ?? '',
    results: asked
      .filter((it) => it.kind === 'external')
      .map((it) => resultOf(it.tool_call_id, it.tool_name, 'error', text)),
    confirmations: asked
      .filter((it) => it.kind === 'confirm')
      .map(({ tool_call_id, input_hash }) => ({ ...base, tool_call_id, input_hash })),
  };
}
