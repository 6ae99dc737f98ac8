import { createHash } from 'node:crypto';
import type { ApprovalStatus, CallDecision, CallKind, NewApproval } from '../approvals/approval.store.js';
import { approvalOf } from '../core/events/approval-note.js';
import type { HintBlock, PermissionRule, ToolCallBlock, ToolResultBlock } from '../core/messages/block.js';
import { newId } from '../platform/ids.js';
import type { ExternalExecutionInput } from './run.schema.js';

export interface CallConfirmation {
  readonly tool_call_id: string;
  readonly confirmed: boolean;
  /** JSON text that replaces the input of the call; null: it runs as it was asked about. */
  readonly input: string | null;
  /** Of the input that was asked about. */
  readonly input_hash: string;
  readonly rules: readonly PermissionRule[];
  readonly comment: string | null;
}

export interface Answer {
  readonly reply_id: string;
  readonly results: readonly ToolResultBlock[];
  readonly confirmations: readonly CallConfirmation[];
  /** What the model is told with the answers. */
  readonly hint: HintBlock | null;
  /** Null when nobody answered in time. */
  readonly decided_by: string | null;
  /** `message`: the calls were turned down because the user said something else. */
  readonly cause: 'user' | 'expired' | 'message';
}

export type Answered =
  | { outcome: 'resumed'; run_id: string }
  /** Every call had been given the same answer before: that one stands, and nothing was written. */
  | { outcome: 'repeated'; run_id: string }
  /** Calls that are not open (any more), or were asked about with another input. */
  | { outcome: 'not_awaited'; tool_call_ids: string[] }
  | { outcome: 'too_many_rules' }
  | { outcome: 'gone' };

/** `idle`: no run waits for an answer, or the message was said before. `repeated`: the message turned calls down before. */
export type TurnedDown = { outcome: 'resumed' | 'repeated'; run_id: string } | { outcome: 'idle' | 'gone' };

/** How an answer settles the approval of one call. */
export interface SettledCall {
  readonly tool_call_id: string;
  readonly kind: CallKind;
  /** Null: the call is answered whatever its input was. */
  readonly input_hash: string | null;
  readonly status: ApprovalStatus;
  readonly decision: CallDecision | null;
  readonly answer_hash: string;
}

export const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex');

export function newApproval(call: ToolCallBlock, kind: CallKind): NewApproval {
  const { id: tool_call_id, name: tool_name, suggested_rules } = call;
  const note = kind === 'confirm' ? approvalOf(call) : null;
  const input = note?.input ?? call.input;
  const asked = { id: note?.id ?? newId(), message: note?.message ?? null };
  return { ...asked, tool_call_id, tool_name, kind, input, input_hash: sha256(input), suggested_rules };
}

/** Results from outside as blocks: ids and times are given here, once, so that every view of the session agrees on them. */
export function toResults(input: ExternalExecutionInput): ToolResultBlock[] {
  return input.execution_results.map(({ id, name, output, state }) =>
    resultOf(id, name ?? 'external', state, typeof output === 'string' ? output : [...output]),
  );
}

export function resultOf(
  id: string,
  name: string,
  state: ToolResultBlock['state'],
  output: string | ToolResultBlock['output'],
): ToolResultBlock {
  const now = new Date().toISOString();
  const base = { created_at: now, finished_at: now };
  const blocks = typeof output === 'string' ? [{ type: 'text' as const, id: newId(), text: output, ...base }] : output;
  return { type: 'tool_result', id, name, output: blocks, state, ...base };
}

/** What becomes of the calls that an answer names. Equal answers to a call have equal hashes, whoever gives them and whenever. */
export function settledBy(answer: Answer): SettledCall[] {
  const { cause, hint } = answer;
  const turnedDown = cause === 'message' && hint !== null ? { message_id: hint.id } : {};
  const results = answer.results.map((result): SettledCall => {
    const status = cause === 'message' || result.state === 'denied' ? 'rejected' : 'answered';
    return {
      tool_call_id: result.id,
      kind: 'external',
      input_hash: null,
      status: cause === 'expired' ? 'expired' : status,
      decision: cause === 'message' ? turnedDown : null,
      answer_hash: sha256(JSON.stringify([result.state, result.output.map(contentOf)])),
    };
  });
  const confirmations = answer.confirmations.map((it): SettledCall => {
    const { tool_call_id, confirmed, input, input_hash, comment } = it;
    const status = confirmed ? 'approved' : 'rejected';
    const rules = it.rules.map((rule) => [rule.tool_name, rule.rule_content ?? '', rule.behavior]);
    return {
      tool_call_id,
      kind: 'confirm',
      input_hash,
      status: cause === 'expired' ? 'expired' : status,
      decision: {
        ...(input === null ? {} : { edited_input: input }),
        ...(it.rules.length === 0 ? {} : { rules: it.rules }),
        ...(comment === null ? {} : { comment }),
        ...turnedDown,
      },
      answer_hash: sha256(JSON.stringify([confirmed, input, input_hash, rules, comment])),
    };
  });
  return [...results, ...confirmations];
}

/** Without identity and times, which are given anew each time. */
const contentOf = (block: ToolResultBlock['output'][number]): unknown[] =>
  block.type === 'text'
    ? [block.text]
    : [block.source.type, block.source.media_type, sourceOf(block.source), block.name];

const sourceOf = (source: { type: 'base64'; data: string } | { type: 'url'; url: string }): string =>
  source.type === 'url' ? source.url : source.data;
