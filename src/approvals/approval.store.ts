import type { Principal } from '../auth/principal.js';
import type { PermissionRule } from '../core/messages/block.js';
import type { Page } from '../platform/http/wire.js';

/** Who a call waits for: somebody who lets it run, or somebody who runs it. */
export type CallKind = 'external' | 'confirm';

export type ApprovalStatus = 'pending' | 'approved' | 'rejected' | 'answered' | 'expired' | 'voided';

/** What was decided about one call, as its approval keeps it. */
export interface CallDecision {
  readonly edited_input?: string;
  readonly rules?: readonly PermissionRule[];
  readonly comment?: string;
  /** The message that turned it down. */
  readonly message_id?: string;
}

/** What is asked of somebody outside about one call. `input` is the JSON text of the call, `input_hash` its SHA-256 in hex. */
export interface NewApproval {
  readonly id: string;
  readonly tool_call_id: string;
  readonly tool_name: string;
  readonly kind: CallKind;
  readonly input: string;
  readonly input_hash: string;
  /** Why it is asked. */
  readonly message: string | null;
  readonly suggested_rules: readonly PermissionRule[];
}

export interface ApprovalRecord extends NewApproval {
  readonly session_id: string;
  readonly agent_id: string;
  readonly run_id: string;
  readonly reply_id: string;
  readonly status: ApprovalStatus;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly decided_at: Date | null;
  /** Null as long as nobody decided, and when nobody did in time. */
  readonly decided_by: string | null;
  readonly decision: CallDecision | null;
}

export interface ApprovalQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly status?: ApprovalStatus | undefined;
  readonly kind?: CallKind | undefined;
  readonly session_id?: string | undefined;
}

/** What is and was asked of a caller, over all sessions. The run ledger writes it. */
export abstract class ApprovalStore {
  abstract get(principal: Principal, id: string): Promise<ApprovalRecord | null>;
  /** Newest first. */
  abstract list(principal: Principal, query: ApprovalQuery): Promise<Page<ApprovalRecord>>;
  /** What was asked about these calls of one reply before they run. */
  abstract confirmations(
    principal: Principal,
    sessionId: string,
    replyId: string,
    callIds: readonly string[],
  ): Promise<ApprovalRecord[]>;
}
