import { expect } from '@jest/globals';
import type { EventBody } from '../agent/event-body.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { AgentEvent, type EventOf } from '../events/agent-event.js';
import { approvalOf } from '../events/approval-note.js';
import { expand } from '../events/expand.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { resultKey } from '../events/reply-blocks.js';
import type { Msg } from '../messages/message.js';
import type { ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import { toolResult } from './event-builders.js';
import { collect, outline } from './reply-harness.js';
import { say } from './supervised-run.js';

type ConfirmResult = EventOf<'USER_CONFIRM_RESULT'>['confirm_results'][number];
/** An answer to one call; `input` is JSON text in place of the model's. */
export type Answer = Pick<ConfirmResult, 'confirmed' | 'comment' | 'cause'> & { id: string; input?: string };

/** A reply that is played run by run, as whoever keeps it does. What must be true of every reply is checked after each run. */
export class PlayedReply {
  readonly events: AgentEvent[] = [];
  private turns = 0;

  constructor(readonly request: ReplyRequest) {}

  get msg(): Msg {
    return this.request.reply.msg;
  }

  call(id: string): ToolCallBlock {
    const block = this.request.reply.block(id);
    if (block?.type !== 'tool_call') throw new Error(`There is no call ${id}.`);
    return block;
  }

  result(id: string): ToolResultBlock {
    const result = this.request.reply.result(id);
    if (result === undefined) throw new Error(`Call ${id} has no result.`);
    return result;
  }

  /** What the result of a call says. */
  said(id: string): string {
    return this.result(id)
      .output.map((block) => (block.type === 'text' ? block.text : ''))
      .join('');
  }

  approvalId(id: string): string | undefined {
    return approvalOf(this.call(id))?.id;
  }

  /** The calls that the newest event of a type names. */
  named(type: 'REQUIRE_USER_CONFIRM' | 'REQUIRE_EXTERNAL_EXECUTION'): ToolCallBlock[] {
    return this.events.flatMap((event) => (event.type === type ? [event.tool_calls] : [])).at(-1) ?? [];
  }

  confirm(...answers: readonly Answer[]): EventBody {
    const confirm_results = answers.map(({ id, input, ...rest }) => {
      const call = this.call(id);
      return { tool_call: { ...structuredClone(call), input: input ?? call.input }, rules: null, ...rest };
    });
    return { type: 'USER_CONFIRM_RESULT', confirm_results };
  }

  external(...ids: readonly string[]): EventBody {
    return { type: 'EXTERNAL_EXECUTION_RESULT', execution_results: ids.map((id) => toolResult(id)) };
  }

  /** One run; the answers come before its start. Returns its outline. */
  async play(answers: readonly EventBody[] = [], change: Partial<ReplyRequest> = {}): Promise<string[]> {
    const req = { ...this.request, ...change, start_iter: this.turns };
    const from = this.events.length;
    this.events.push(...answers.map((body) => say(req, body)));
    await collect(req, (event) => {
      this.events.push(event);
      if (event.type === 'MODEL_CALL_END' && event.finished_reason === 'completed') this.turns += 1;
    });
    this.check();
    return outline(this.events.slice(from));
  }

  /** What a holder does that goes on after another one died: the reply is put back to its steps, and started calls begin anew. */
  rewind(): void {
    const { reply } = this.request;
    const keep_block_ids = this.msg.content
      .filter((block) => block.type !== 'tool_result' || block.state !== 'running')
      .map((block) => (block.type === 'tool_result' ? resultKey(block.id) : block.id));
    const value = { reply_id: this.msg.id, keep_block_ids, usage: this.msg.usage };
    const base = { id: this.request.newId(), created_at: this.request.clock().toISOString() };
    const event: AgentEvent = { type: 'CUSTOM', ...base, name: 'reply_rewound', value };
    reply.apply(event);
    this.events.push(event);
  }

  private check(): void {
    checkGrammar(this.events, { complete: true });
    for (const event of this.events) AgentEvent.parse(event);
    expect(reduce(this.events)).toEqual([this.msg]);
    const expanded = expand([this.msg], { session_id: 's' });
    checkGrammar(expanded);
    expect(reduce(structuredClone(expanded))).toEqual([this.msg]);
  }
}

/** Does something while the loop makes an event of a type, before its consumer sees it. */
export function whenApplied({ reply }: ReplyRequest, type: AgentEvent['type'], act: () => void): void {
  const apply = reply.apply.bind(reply);
  reply.apply = (event) => {
    if (event.type === type) act();
    return apply(event);
  };
}

/** The lines that tell what became of calls. */
export const outcomes = (lines: readonly string[]): string[] =>
  lines.filter((line) => /^(TOOL_RESULT_END|REQUIRE_|REPLY_END)/.test(line));
