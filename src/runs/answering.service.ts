import { Injectable, Logger } from '@nestjs/common';
import { type ApprovalRecord, ApprovalStore } from '../approvals/approval.store.js';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { factsOf } from '../core/agent/tool-facts-of.js';
import { parseToolInput } from '../core/agent/tool-input.js';
import type { HintBlock, PermissionRule, ToolResultBlock } from '../core/messages/block.js';
import { applyConfirmation } from '../core/permissions/confirmation.js';
import type { PermissionContext } from '../core/permissions/permission-context.js';
import { AerieError } from '../platform/http/errors.js';
import { type Answered, type CallConfirmation, resultOf, type TurnedDown } from './answers.js';
import { Assembler, type Assembly } from './assembler.js';
import { Doorbell } from './doorbell.js';
import { PermissionNotices } from './permission-notices.js';
import { RunStore } from './run.store.js';

/** What somebody says about a call that is asked about. */
export interface GivenConfirmation {
  readonly tool_call_id: string;
  readonly confirmed: boolean;
  readonly tool_name?: string | undefined;
  /** The input that is to run, as JSON text or as what that says; what was asked about when absent. */
  readonly input?: string | Record<string, unknown> | undefined;
  readonly rules: readonly PermissionRule[];
  readonly comment?: string | undefined;
}

export interface GivenAnswer {
  readonly reply_id: string;
  readonly results: readonly ToolResultBlock[];
  readonly confirmations: readonly GivenConfirmation[];
}

type DeclinedCall = Pick<ApprovalRecord, 'reply_id' | 'tool_call_id' | 'tool_name'>;
type Settled = Exclude<Answered, { outcome: 'too_many_rules' }>;

interface Judged {
  readonly confirmations: CallConfirmation[];
  /** What the session allowed and allows with the rules that are granted; absent when no call is let run. */
  readonly before: PermissionContext | undefined;
  readonly after: PermissionContext | undefined;
}

const DECLINED = 'The user declined this call.';

/** Answers calls that a parked run waits for. Who lets a call run is held to what the call may do; turning one down always works. */
@Injectable()
export class Answering {
  private readonly logger = new Logger(Answering.name);

  constructor(
    private readonly store: RunStore,
    private readonly approvals: ApprovalStore,
    private readonly assembler: Assembler,
    private readonly notices: PermissionNotices,
    private readonly doorbell: Doorbell,
  ) {}

  /** All of an answer is applied, or nothing: `confirmation_refused` says which call it is refused for. */
  async answer(
    principal: Principal,
    sessionId: string,
    { reply_id, results, confirmations }: GivenAnswer,
  ): Promise<Settled> {
    const asked = await this.asked(principal, sessionId, reply_id, confirmations);
    const unknown = confirmations.filter((it) => !asked.has(it.tool_call_id)).map((it) => it.tool_call_id);
    if (unknown.length > 0) return { outcome: 'not_awaited', tool_call_ids: unknown };
    const judged = await this.judged(principal, sessionId, confirmations, asked);
    const answered = await this.store.answer(principal, sessionId, {
      reply_id,
      results,
      confirmations: judged.confirmations,
      hint: null,
      decided_by: principal.user_id,
      cause: 'user',
    });
    if (answered.outcome === 'too_many_rules') {
      throw new AerieError('confirmation_refused', 'The session would have too many rules.', {
        reason: answered.outcome,
      });
    }
    const { before, after } = judged;
    if (answered.outcome === 'resumed' && before && after) await this.notices.tell(principal, sessionId, before, after);
    // Said again because nobody seemed to hear it: the bell may have been lost.
    if (answered.outcome === 'resumed' || answered.outcome === 'repeated') this.ring();
    return answered;
  }

  /** The run goes on with `hint` in place of what it asked for. */
  async turnDown(principal: Principal, sessionId: string, hint: HintBlock): Promise<TurnedDown> {
    const turned = await this.store.turnDown(principal, sessionId, hint);
    if (turned.outcome === 'resumed' || turned.outcome === 'repeated') this.ring();
    return turned;
  }

  /** Turns down a call that somebody outside was to execute. */
  decline(principal: Principal, sessionId: string, call: DeclinedCall, comment?: string): Promise<Settled> {
    const text = comment === undefined ? DECLINED : `${DECLINED}\n${comment}`;
    const result = resultOf(call.tool_call_id, call.tool_name, 'denied', text);
    return this.answer(principal, sessionId, { reply_id: call.reply_id, results: [result], confirmations: [] });
  }

  /** Turns down what nobody answered in time, in up to `limit` sessions; returns in how many. */
  async expire(system: SystemPrincipal, limit: number): Promise<number> {
    const found = await this.store.expireApprovals(system, limit);
    if (found.length > 0) this.ring();
    return found.length;
  }

  private async asked(
    principal: Principal,
    sessionId: string,
    replyId: string,
    given: readonly GivenConfirmation[],
  ): Promise<Map<string, ApprovalRecord>> {
    if (given.length === 0) return new Map();
    const ids = given.map((it) => it.tool_call_id);
    const records = await this.approvals.confirmations(principal, sessionId, replyId, ids);
    return new Map(records.map((record) => [record.tool_call_id, record]));
  }

  /** What was decided already is not judged again: whoever repeats a decision hears of the one that stands. */
  private async judged(
    principal: Principal,
    sessionId: string,
    given: readonly GivenConfirmation[],
    asked: ReadonlyMap<string, ApprovalRecord>,
  ): Promise<Judged> {
    let assembly: Assembly | undefined;
    let permissions: PermissionContext | undefined;
    const confirmations: CallConfirmation[] = [];
    for (const it of given) {
      const record = asked.get(it.tool_call_id);
      if (record === undefined) continue;
      const confirmation = confirmationOf(it, record);
      confirmations.push(confirmation);
      if (!it.confirmed || record.status !== 'pending') continue;
      assembly ??= await this.assembler.current(principal, sessionId);
      permissions = judge(it, confirmation, record, { ...assembly, permissions: permissions ?? assembly.permissions });
    }
    return { confirmations, before: assembly?.permissions, after: permissions };
  }

  private ring(): void {
    this.doorbell.ring().catch((error: unknown) => this.logger.warn({ err: error }, 'The doorbell could not be rung'));
  }
}

function confirmationOf(given: GivenConfirmation, { input, input_hash }: ApprovalRecord): CallConfirmation {
  const { tool_call_id, confirmed, comment = null } = given;
  const text = typeof given.input === 'object' ? JSON.stringify(given.input) : given.input;
  const isEdited = confirmed && text !== undefined && text !== input;
  return {
    tool_call_id,
    confirmed,
    input: isEdited ? text : null,
    input_hash,
    rules: confirmed ? given.rules.map((rule) => ({ ...rule, source: 'confirmation' })) : [],
    comment,
  };
}

/** The permissions with the rules of the confirmation; throws when it is refused. */
function judge(
  given: GivenConfirmation,
  { tool_call_id, input, rules }: CallConfirmation,
  { tool_name, input: asked }: ApprovalRecord,
  { toolkit, middleware, permissions, shellParser }: Assembly,
): PermissionContext {
  const tool = toolkit.with(middleware.flatMap((layer) => layer.listTools?.() ?? [])).get(tool_name);
  if (tool === undefined) throw refused(tool_call_id, 'tool_gone', `There is no tool named "${tool_name}" any more.`);
  const confirmation = {
    ...(given.tool_name !== undefined && { tool_name: given.tool_name }),
    ...(input !== null && { edited_input: input }),
    rules,
  };
  const parse = (text: string) => parseToolInput(tool, text);
  const call = { name: tool_name, input: asked };
  const applied = applyConfirmation(call, confirmation, factsOf(tool), permissions, parse, shellParser);
  if (!applied.ok) throw refused(tool_call_id, applied.code, applied.message);
  return applied.context;
}

function refused(tool_call_id: string, reason: string, message: string): AerieError {
  return new AerieError('confirmation_refused', 'The call cannot be let run so.', { reason, tool_call_id, message });
}
