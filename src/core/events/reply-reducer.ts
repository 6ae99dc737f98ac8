import type { ContentBlock, Metadata, ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import { addUsage, type Msg, type Usage } from '../messages/message.js';
import { CUSTOM_EVENTS, type AgentEvent, type EventOf } from './agent-event.js';
import { withDecline } from './approval-note.js';
import { appendText, blankReply, joinBase64, newCall, newResult, outputData, resultKey } from './reply-blocks.js';

/**
 * Folds the events of one reply into its message. Events that name another reply, or a block that is not there or no longer open, change
 * nothing. The message shares no mutable state with the events.
 */
export class ReplyReducer {
  private readonly blocks = new Map<string, Exclude<ContentBlock, ToolResultBlock>>();
  private readonly results = new Map<string, ToolResultBlock>();

  /** Takes over `msg` and mutates it. */
  constructor(readonly msg: Msg) {
    this.index();
  }

  /** A reply whose REPLY_START is still to come. */
  static blank(replyId: string, name: string): ReplyReducer {
    return new ReplyReducer(blankReply(replyId, name));
  }

  block(id: string): Exclude<ContentBlock, ToolResultBlock> | undefined {
    return this.blocks.get(id);
  }

  result(toolCallId: string): ToolResultBlock | undefined {
    return this.results.get(toolCallId);
  }

  /** False when the event was ignored. */
  apply(event: AgentEvent): boolean {
    if (event.type === 'CUSTOM') return this.custom(event);
    if (event.reply_id !== this.msg.id) return false;
    switch (event.type) {
      case 'TEXT_BLOCK_DELTA': {
        const block = this.blocks.get(event.block_id);
        if (block?.type !== 'text' || block.finished_at !== null) return false;
        block.text += event.delta;
        return true;
      }
      case 'THINKING_BLOCK_DELTA': {
        const block = this.blocks.get(event.block_id);
        if (block?.type !== 'thinking' || block.finished_at !== null) return false;
        block.thinking += event.delta;
        return true;
      }
      case 'TOOL_CALL_DELTA': {
        const block = this.blocks.get(event.tool_call_id);
        if (block?.type !== 'tool_call' || block.finished_at !== null) return false;
        block.input += event.delta;
        return true;
      }
      case 'DATA_BLOCK_DELTA': {
        const block = this.blocks.get(event.block_id);
        if (block?.type !== 'data' || block.finished_at !== null || block.source.type !== 'base64') return false;
        block.source.data = joinBase64(block.source.data, event.data);
        return true;
      }
      case 'TEXT_BLOCK_START':
        return this.push({ type: 'text', text: '', ...opened(event) });
      case 'THINKING_BLOCK_START':
        return this.push({ type: 'thinking', thinking: '', ...opened(event) });
      case 'DATA_BLOCK_START': {
        const source = { type: 'base64' as const, data: '', media_type: event.media_type };
        return this.push({ type: 'data', source, name: null, ...opened(event) });
      }
      case 'TOOL_CALL_START':
        return this.push(newCall(event));
      case 'TEXT_BLOCK_END':
        return this.end(event.block_id, 'text', event);
      case 'THINKING_BLOCK_END':
        return this.end(event.block_id, 'thinking', event);
      case 'DATA_BLOCK_END':
        return this.end(event.block_id, 'data', event);
      case 'TOOL_CALL_END':
        return this.end(event.tool_call_id, 'tool_call', event);
      case 'HINT_BLOCK': {
        const { source, created_at } = event;
        const base = { type: 'hint' as const, hint: structuredClone(event.hint), source, ...opened(event) };
        return this.push({ ...base, finished_at: created_at, ...metadataOf(event.metadata) });
      }
      case 'MODEL_CALL_END':
        if (event.metadata?.['synthetic'] !== true) this.msg.usage = addUsage(this.msg.usage, usageOf(event));
        return true;
      case 'REPLY_START':
        this.start(event);
        return true;
      case 'REPLY_END':
        // First what may fail: a reply that counts as ended without its event would never end for anybody else.
        this.msg.structured_output = structuredClone(event.structured_output ?? null);
        this.msg.finished_at = event.created_at;
        this.msg.finished_reason = event.finished_reason;
        this.msg.error = event.error && { ...event.error };
        return true;
      case 'TOOL_RESULT_START':
        if (this.results.has(event.tool_call_id)) return false;
        this.pushResult(newResult(event));
        return true;
      case 'TOOL_RESULT_TEXT_DELTA': {
        const result = this.running(event.tool_call_id);
        if (result !== null) appendText(result, event);
        return result !== null;
      }
      case 'TOOL_RESULT_DATA_DELTA': {
        const result = this.running(event.tool_call_id);
        const block = outputData(event);
        if (result === null || block === null) return false;
        result.output.push(block);
        return true;
      }
      case 'TOOL_RESULT_END':
        return this.endResult(event);
      case 'REQUIRE_USER_CONFIRM':
        return this.eachCall(event.tool_calls, (call, asked) => {
          call.state = 'asking';
          call.suggested_rules = structuredClone(asked.suggested_rules);
          Object.assign(call, metadataOf(asked.metadata));
        });
      case 'REQUIRE_EXTERNAL_EXECUTION':
        return this.eachCall(event.tool_calls, (call, submitted) => {
          call.state = 'submitted';
          call.input = submitted.input;
        });
      case 'USER_CONFIRM_RESULT':
        return event.confirm_results.map((answer) => this.answer(answer)).every(Boolean);
      case 'EXTERNAL_EXECUTION_RESULT':
        return event.execution_results.map((result) => this.external(result, event.created_at)).every(Boolean);
      case 'MODEL_CALL_START':
      case 'EXCEED_MAX_ITERS':
      case 'USER_INTERRUPT':
        return true;
    }
  }

  private custom(event: EventOf<'CUSTOM'>): boolean {
    if (event.name !== 'reply_rewound') return true;
    const { data } = CUSTOM_EVENTS.reply_rewound.safeParse(event.value);
    if (data?.reply_id !== this.msg.id) return false;
    this.rewind(new Set(data.keep_block_ids));
    if (data.usage !== undefined) this.msg.usage = data.usage;
    return true;
  }

  private start(event: EventOf<'REPLY_START'>): void {
    const { msg } = this;
    // A reply of which nothing is there (yet, or any more) begins with this; one that has something goes on.
    if (msg.content.length === 0) {
      msg.name = event.name;
      msg.created_at = event.created_at;
      msg.metadata = structuredClone(event.metadata ?? {});
    }
    reopen(msg);
  }

  private rewind(keep: ReadonlySet<string>): void {
    const { msg } = this;
    const kept = msg.content.filter((block) => keep.has(block.type === 'tool_result' ? resultKey(block.id) : block.id));
    msg.content.splice(0, msg.content.length, ...kept);
    reopen(msg);
    this.index();
    for (const block of kept) {
      if (block.type !== 'tool_call' || this.results.has(block.id)) continue;
      block.state = 'pending';
      block.suggested_rules = [];
    }
  }

  private index(): void {
    this.blocks.clear();
    this.results.clear();
    for (const block of this.msg.content) {
      if (block.type === 'tool_result') this.results.set(block.id, block);
      else this.blocks.set(block.id, block);
    }
  }

  private push(block: Exclude<ContentBlock, ToolResultBlock>): boolean {
    if (this.blocks.has(block.id)) return false;
    this.msg.content.push(block);
    this.blocks.set(block.id, block);
    return true;
  }

  private pushResult(result: ToolResultBlock): void {
    this.msg.content.push(result);
    this.results.set(result.id, result);
  }

  private end(id: string, type: ContentBlock['type'], event: AgentEvent): boolean {
    const block = this.blocks.get(id);
    if (block?.type !== type || block.finished_at !== null) return false;
    block.finished_at = event.created_at;
    Object.assign(block, metadataOf(event.metadata));
    return true;
  }

  private running(toolCallId: string): ToolResultBlock | null {
    const result = this.results.get(toolCallId);
    return result?.state === 'running' ? result : null;
  }

  private endResult(event: EventOf<'TOOL_RESULT_END'>): boolean {
    const result = this.running(event.tool_call_id);
    if (result === null) return false;
    for (const block of result.output) block.finished_at ??= event.created_at;
    Object.assign(result, { state: event.state, finished_at: event.created_at }, metadataOf(event.metadata));
    const call = this.blocks.get(event.tool_call_id);
    if (call?.type === 'tool_call') call.state = 'finished';
    return true;
  }

  private call(id: string): ToolCallBlock | null {
    const block = this.blocks.get(id);
    return block?.type === 'tool_call' ? block : null;
  }

  private eachCall(
    named: readonly ToolCallBlock[],
    change: (call: ToolCallBlock, named: ToolCallBlock) => void,
  ): boolean {
    let all = true;
    for (const one of named) {
      const call = this.call(one.id);
      if (call === null || call.state === 'finished') all = false;
      else change(call, one);
    }
    return all;
  }

  private answer(answer: EventOf<'USER_CONFIRM_RESULT'>['confirm_results'][number]): boolean {
    const { confirmed, tool_call } = answer;
    const call = this.call(tool_call.id);
    if (call?.state !== 'asking') return false;
    call.state = confirmed ? 'allowed' : 'finished';
    if (confirmed) call.input = tool_call.input;
    else Object.assign(call, metadataOf(withDecline(call.metadata, answer)));
    return true;
  }

  private external(given: ToolResultBlock, now: string): boolean {
    const call = this.call(given.id);
    const present = this.results.get(given.id);
    if (call === null || given.state === 'running' || (present !== undefined && present.state !== 'running'))
      return false;
    const result = structuredClone(given);
    result.finished_at ??= now;
    if (present === undefined) {
      this.pushResult(result);
    } else {
      this.msg.content[this.msg.content.indexOf(present)] = result;
      this.results.set(result.id, result);
    }
    call.state = 'finished';
    return true;
  }
}

const reducers = new WeakMap<Msg, ReplyReducer>();

/** Folds one event into an assistant message; the index of its blocks is kept beside it. Use either this or a `ReplyReducer`, not both. */
export function applyToReply(msg: Msg, event: AgentEvent): boolean {
  let reducer = reducers.get(msg);
  if (reducer === undefined) reducers.set(msg, (reducer = new ReplyReducer(msg)));
  return reducer.apply(event);
}

function reopen(msg: Msg): void {
  msg.structured_output = null;
  msg.finished_at = null;
  msg.finished_reason = null;
  msg.error = null;
}

const opened = (event: { block_id: string; created_at: string }) => ({
  id: event.block_id,
  created_at: event.created_at,
  finished_at: null,
});

const metadataOf = (metadata: Metadata | undefined): { metadata?: Metadata } =>
  metadata !== undefined && Object.keys(metadata).length > 0 ? { metadata: structuredClone(metadata) } : {};

const usageOf = (event: Usage): Usage => ({
  input_tokens: event.input_tokens,
  output_tokens: event.output_tokens,
  cache_input_tokens: event.cache_input_tokens,
  cache_creation_input_tokens: event.cache_creation_input_tokens,
  reasoning_tokens: event.reasoning_tokens,
});
