import type { NewApproval } from '../approvals/approval.store.js';
import type { ReplyReducer } from '../core/events/reply-reducer.js';
import { newApproval } from './answers.js';
import type { OpenCall } from './run.store.js';

/** Calls of a reply that wait for somebody outside. */
export function openCallsOf(reply: ReplyReducer): OpenCall[] {
  return reply.msg.content.flatMap((block): OpenCall[] => {
    if (block.type !== 'tool_call' || reply.result(block.id)) return [];
    if (block.state !== 'asking' && block.state !== 'submitted') return [];
    const kind = block.state === 'asking' ? 'confirm' : 'external';
    return [{ tool_call_id: block.id, name: block.name, kind }];
  });
}

/** What is asked about these calls. */
export function approvalsOf(reply: ReplyReducer, calls: readonly OpenCall[]): NewApproval[] {
  return calls.flatMap(({ tool_call_id, kind }) => {
    const block = reply.block(tool_call_id);
    return block?.type === 'tool_call' ? [newApproval(block, kind)] : [];
  });
}
