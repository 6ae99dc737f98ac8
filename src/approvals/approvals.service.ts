import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import type { Page } from '../platform/http/wire.js';
import { Answering } from '../runs/answering.service.js';
import { SessionsService } from '../sessions/sessions.service.js';
import type { ApprovalListQuery, ApprovalView, DecidedMany, Decide, DecideMany } from './approval.schema.js';
import { type ApprovalRecord, ApprovalStore } from './approval.store.js';

/** What is asked of people, to look at and to decide. */
@Injectable()
export class ApprovalsService {
  constructor(
    private readonly store: ApprovalStore,
    private readonly sessions: SessionsService,
    private readonly answering: Answering,
  ) {}

  async list(principal: Principal, query: ApprovalListQuery): Promise<Page<ApprovalView>> {
    const { session_id, ...rest } = query;
    const session = session_id === undefined ? undefined : await this.sessions.record(principal, session_id);
    const page = await this.store.list(principal, { ...rest, session_id: session?.id });
    return { ...page, rows: page.rows.map(toView) };
  }

  async get(principal: Principal, id: string): Promise<ApprovalView> {
    return toView(await this.record(principal, id));
  }

  /** Said again, wherever, it is the same decision; one that differs from what was decided is refused. */
  async decide(principal: Principal, id: string, decide: Decide): Promise<ApprovalView> {
    const asked = await this.record(principal, id);
    const { outcome } = await this.answer(principal, asked, decide);
    const now = await this.record(principal, id);
    switch (outcome) {
      case 'resumed':
      case 'repeated':
        return toView(now);
      case 'not_awaited':
        throw refusal(now);
      case 'gone':
        throw notFound('approval', id);
    }
  }

  /** Each by itself: what one of them is refused for is no concern of the others. */
  async decideMany(principal: Principal, { decisions }: DecideMany): Promise<DecidedMany> {
    const results: DecidedMany['results'] = [];
    for (const { id, ...decide } of decisions) {
      try {
        results.push({ id, ok: true, approval: await this.decide(principal, id, decide) });
      } catch (error) {
        if (!(error instanceof AerieError)) throw error;
        const { code, message, details } = error;
        results.push({ id, ok: false, error: { code, message, ...(details && { details }) } });
      }
    }
    return { results };
  }

  private answer(
    principal: Principal,
    asked: ApprovalRecord,
    { decision, edited_input, rules = [], comment }: Decide,
  ): ReturnType<Answering['answer']> {
    const { session_id, reply_id, tool_call_id } = asked;
    const confirmed = decision === 'approve';
    if (asked.kind === 'confirm') {
      const confirmation = { tool_call_id, confirmed, input: edited_input, rules, comment };
      return this.answering.answer(principal, session_id, { reply_id, results: [], confirmations: [confirmation] });
    }
    if (confirmed) throw invalid('decision', 'the result of a call that is executed outside is given by POST /chat');
    return this.answering.decline(principal, session_id, asked, comment);
  }

  private async record(principal: Principal, id: string): Promise<ApprovalRecord> {
    const record = await this.store.get(principal, id);
    if (!record) throw notFound('approval', id);
    return record;
  }
}

function refusal({ status, decided_at }: ApprovalRecord): AerieError {
  const details = { status, decided_at: iso(decided_at) };
  const isDecided = status === 'approved' || status === 'rejected' || status === 'answered';
  return isDecided
    ? new AerieError('approval_decided', 'It was decided otherwise before.', details)
    : new AerieError('approval_closed', 'Nothing waits for this decision any more.', details);
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

function toView({ decision, created_at, expires_at, decided_at, ...rest }: ApprovalRecord): ApprovalView {
  return {
    ...rest,
    suggested_rules: [...rest.suggested_rules],
    created_at: created_at.toISOString(),
    expires_at: expires_at.toISOString(),
    decided_at: iso(decided_at),
    edited_input: decision?.edited_input ?? null,
    rules: [...(decision?.rules ?? [])],
    comment: decision?.comment ?? null,
  };
}
