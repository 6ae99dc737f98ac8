import { z } from 'zod';
import { PermissionRule } from '../core/messages/block.js';
import { MAX_CONFIRMED_RULES } from '../core/permissions/confirmation.js';
import { ERROR_STATUS, type ErrorCode } from '../platform/http/errors.js';
import { ListQuery, listOf } from '../platform/http/wire.js';
import { EditedInput, MAX_COMMENT } from '../runs/run.schema.js';

const MAX_BATCH = 100;

const ApprovalStatus = z
  .enum(['pending', 'approved', 'rejected', 'answered', 'expired', 'voided'])
  .meta({ id: 'ApprovalStatus' });
const ApprovalKind = z.enum(['confirm', 'external']).meta({ id: 'ApprovalKind' });

export const ApprovalView = z
  .object({
    id: z.uuid(),
    session_id: z.uuid(),
    agent_id: z.uuid(),
    run_id: z.uuid(),
    reply_id: z.string(),
    tool_call_id: z.string(),
    tool_name: z.string(),
    kind: ApprovalKind.describe(
      'confirm: the call runs here once it is approved. external: its result is given by POST /chat',
    ),
    input: z.string().describe('JSON text of the call as it was asked about'),
    input_hash: z.string().describe('SHA-256 of `input` in hex'),
    message: z.string().nullable().describe('Why it is asked'),
    suggested_rules: z
      .array(PermissionRule)
      .describe('Rules that would let calls like this one run without a question'),
    status: ApprovalStatus.describe(
      'expired: nobody decided in time, which turns the call down. voided: the run was stopped or ended meanwhile',
    ),
    created_at: z.iso.datetime(),
    expires_at: z.iso.datetime(),
    decided_at: z.iso.datetime().nullable(),
    decided_by: z.string().nullable(),
    edited_input: z.string().nullable().describe('JSON text that ran in place of `input`'),
    rules: z.array(PermissionRule).describe('Rules that were granted with it'),
    comment: z.string().nullable(),
  })
  .meta({ id: 'Approval' });
export type ApprovalView = z.infer<typeof ApprovalView>;

export const ApprovalList = listOf('approvals', ApprovalView).meta({ id: 'ApprovalList' });

export const ApprovalListQuery = z.object({
  ...ListQuery.shape,
  status: ApprovalStatus.optional(),
  kind: ApprovalKind.optional(),
  session_id: z.string().min(1).max(256).optional(),
});
export type ApprovalListQuery = z.infer<typeof ApprovalListQuery>;

const decision = {
  decision: z.enum(['approve', 'reject']),
  edited_input: EditedInput.optional().describe('Runs in place of the input that was asked about'),
  rules: z
    .array(PermissionRule)
    .max(MAX_CONFIRMED_RULES)
    .optional()
    .describe('Rules for calls to come of the same tool; they may only allow'),
  comment: z.string().max(MAX_COMMENT).optional().describe('The model reads it with a rejection'),
};

/** Only what is let run can be edited, or ruled on. */
const isWhole = (it: { decision: string; edited_input?: unknown; rules?: unknown }): boolean =>
  it.decision === 'approve' || (it.edited_input === undefined && it.rules === undefined);
const WHOLE = { path: ['decision'], message: 'a rejection has neither edited_input nor rules' };

export const Decide = z.object(decision).refine(isWhole, WHOLE).meta({ id: 'ApprovalDecision' });
export type Decide = z.infer<typeof Decide>;

export const DecideMany = z
  .object({
    decisions: z
      .array(z.object({ id: z.string().min(1).max(256), ...decision }).refine(isWhole, WHOLE))
      .min(1)
      .max(MAX_BATCH),
  })
  .meta({ id: 'ApprovalDecisions' });
export type DecideMany = z.infer<typeof DecideMany>;

export const DecidedMany = z
  .object({
    results: z
      .array(
        z.object({
          id: z.string(),
          ok: z.boolean(),
          approval: ApprovalView.optional(),
          error: z
            .object({
              code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
              message: z.string(),
              details: z.unknown().optional(),
            })
            .optional(),
        }),
      )
      .describe('One for each decision, in their order'),
  })
  .meta({ id: 'ApprovalsDecided' });
export type DecidedMany = z.infer<typeof DecidedMany>;
