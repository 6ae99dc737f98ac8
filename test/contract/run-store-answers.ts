import type { CallKind, NewApproval } from '../../src/approvals/approval.store.js';
import { withApproval } from '../../src/core/events/approval-note.js';
import { newId } from '../../src/platform/ids.js';
import { type Answer, type CallConfirmation, newApproval, resultOf, sha256 } from '../../src/runs/answers.js';

type Names = { readonly reply_id: string };

/** A call that is named `ask…` is asked about, any other one is executed outside. */
export const kindOf = (id: string): CallKind => (id.startsWith('ask') ? 'confirm' : 'external');

export const inputOf = (tool_call_id: string): string => JSON.stringify({ of: tool_call_id });

export function approvalOf(id: string): NewApproval {
  const times = { created_at: '2026-11-21T10:00:00.000Z', finished_at: null };
  const call = { type: 'tool_call' as const, id, name: 'ask', input: inputOf(id), state: 'asking' as const, ...times };
  const metadata = withApproval(undefined, { id: newId(), message: 'Why not?' });
  return newApproval({ ...call, suggested_rules: [], metadata }, kindOf(id));
}

const FROM_ALICE = { hint: null, decided_by: 'alice', cause: 'user' as const };

export const answerOf = ({ reply_id }: Names, ...calls: string[]): Answer => ({
  reply_id,
  results: calls.map((id) => resultOf(id, 'ask', 'success', 'done')),
  confirmations: [],
  ...FROM_ALICE,
});

/** Lets calls run; `rest` says otherwise. */
export const confirmationOf = (
  { reply_id }: Names,
  calls: readonly string[],
  rest: Partial<CallConfirmation> = {},
): Answer => ({
  reply_id,
  results: [],
  confirmations: calls.map((id) => ({
    tool_call_id: id,
    confirmed: true,
    input: null,
    input_hash: sha256(inputOf(id)),
    rules: [],
    comment: null,
    ...rest,
  })),
  ...FROM_ALICE,
});
