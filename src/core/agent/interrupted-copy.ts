import { ReplyReducer } from '../events/reply-reducer.js';
import type { Msg } from '../messages/message.js';
import { blockEnd, INTERRUPTED_TEXT } from './closing.js';
import type { EventBody } from './reply-context.js';

/**
 * The reply as an interrupt at `now` would leave it: no block is open, every tool call has a result. One that has ended is given back as it
 * is; `msg` stays as it was.
 */
export function interruptedCopy(msg: Msg, now: string): Msg {
  if (msg.role !== 'assistant' || msg.finished_at !== null) return msg;
  const reply = new ReplyReducer(structuredClone(msg));
  const apply = (body: EventBody): void => {
    reply.apply({ id: '', created_at: now, reply_id: msg.id, ...body });
  };
  for (const block of msg.content) {
    if (block.finished_at !== null || block.type === 'tool_result' || block.type === 'hint') continue;
    if (block.type === 'data') apply({ type: 'DATA_BLOCK_END', block_id: block.id });
    else apply(blockEnd(block.id, block.type));
  }
  for (const call of msg.content) {
    if (call.type !== 'tool_call') continue;
    const result = reply.result(call.id);
    if (result !== undefined && result.state !== 'running') continue;
    const tool_call_id = call.id;
    if (result === undefined) apply({ type: 'TOOL_RESULT_START', tool_call_id, tool_call_name: call.name });
    apply({ type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id, delta: INTERRUPTED_TEXT });
    apply({ type: 'TOOL_RESULT_END', tool_call_id, state: 'interrupted' });
  }
  apply({ type: 'REPLY_END', session_id: '', finished_reason: 'interrupted', error: null });
  return reply.msg;
}
