import type { ContentBlock, HintBlock, Metadata, ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import { NO_USAGE, type Msg } from '../messages/message.js';
import type { AgentEvent } from './agent-event.js';
import { GrammarChecker } from './grammar.js';

type Draft = AgentEvent extends infer E ? (E extends AgentEvent ? Omit<E, 'id'> : never) : never;
type ModelBlock = Exclude<ContentBlock, HintBlock | ToolResultBlock>;

export interface ExpandOptions {
  readonly session_id: string;
}

/**
 * The canonical events of a transcript: a grammatical sequence that folds back into it, the same on every call. What the transcript does
 * not hold is filled in: model names are empty, all usage of a reply is on its last closed model call, and the other MODEL_CALL_ENDs carry
 * `metadata.synthetic`, by which the reducer adds nothing. A model call counts as over when all its blocks are finished. The events refer
 * into `messages`.
 */
export function expand(messages: readonly Msg[], options: ExpandOptions): AgentEvent[] {
  const events: AgentEvent[] = [];
  for (let index = 0; index < messages.length; index += 1) {
    const message = messages[index];
    if (message === undefined) continue;
    if (message.role !== 'assistant') {
      events.push(userMessage(message));
      continue;
    }
    const drafts = new ReplyWriter(message, options.session_id).write();
    const rest = messages.slice(index + 1);
    if (message.finished_at === null && rest.length > 0 && !isComplete(drafts)) {
      // User messages that came while the reply was parked stand behind it although it runs again: it is closed, and reopened by a rewind.
      const later = drafts.splice(1);
      const end = replyEnd(message, options.session_id);
      drafts.push({ ...end, created_at: message.created_at, finished_reason: 'interrupted' });
      const value = { reply_id: message.id, keep_block_ids: [] };
      const rewound = { type: 'CUSTOM' as const, created_at: message.created_at, name: 'reply_rewound', value };
      events.push(...numbered(message.id, drafts), ...rest.map(userMessage));
      events.push(...numbered(message.id, [rewound, ...later], drafts.length));
      break;
    }
    events.push(...numbered(message.id, drafts));
  }
  return events;
}

const numbered = (id: string, drafts: readonly Draft[], from = 0): AgentEvent[] =>
  drafts.map((draft, index) => ({ id: `${id}:${from + index}`, ...draft }));

const userMessage = (message: Msg): AgentEvent => ({
  type: 'CUSTOM',
  id: `${message.id}:0`,
  created_at: message.created_at,
  name: 'user_message',
  value: { message },
});

const replyEnd = (msg: Msg, session_id: string) => ({
  type: 'REPLY_END' as const,
  created_at: msg.finished_at ?? msg.created_at,
  session_id,
  reply_id: msg.id,
  finished_reason: msg.finished_reason ?? ('completed' as const),
  error: msg.error,
  ...(msg.structured_output !== null && { structured_output: msg.structured_output }),
});

function isComplete(drafts: readonly Draft[]): boolean {
  const checker = new GrammarChecker();
  for (const event of numbered('', drafts)) checker.accept(event);
  return checker.complete;
}

class ReplyWriter {
  private readonly drafts: Draft[] = [];
  private readonly results = new Map<string, ToolResultBlock>();
  private parked = false;

  constructor(
    private readonly msg: Msg,
    private readonly session_id: string,
  ) {
    for (const block of msg.content) if (block.type === 'tool_result') this.results.set(block.id, block);
  }

  write(): Draft[] {
    const { msg } = this;
    this.replyStart(msg.metadata);
    let turn: ModelBlock[] = [];
    for (const block of msg.content) {
      if (block.type !== 'hint' && block.type !== 'tool_result') {
        turn.push(block);
        continue;
      }
      this.turn(turn);
      turn = [];
      this.resume();
      if (block.type === 'hint') this.hint(block);
      else this.result(block);
    }
    this.turn(turn);
    this.usage();
    if (msg.finished_at === null) return this.drafts;
    this.resume();
    const { id: reply_id, name, finished_at: created_at } = msg;
    if (msg.finished_reason === 'exceed_max_iters') {
      this.drafts.push({ type: 'EXCEED_MAX_ITERS', created_at, reply_id, name });
    }
    this.drafts.push(replyEnd(msg, this.session_id));
    return this.drafts;
  }

  private replyStart(metadata: Metadata): void {
    const { id: reply_id, name, created_at } = this.msg;
    const { session_id } = this;
    this.drafts.push({
      type: 'REPLY_START',
      created_at,
      session_id,
      reply_id,
      name,
      role: 'assistant',
      ...meta(metadata),
    });
  }

  private resume(): void {
    if (this.parked) this.replyStart({});
    this.parked = false;
  }

  private hint(block: HintBlock): void {
    const { id: block_id, created_at, source, hint, metadata } = block;
    this.drafts.push({
      type: 'HINT_BLOCK',
      created_at,
      reply_id: this.msg.id,
      block_id,
      source,
      hint,
      ...meta(metadata),
    });
  }

  private turn(blocks: readonly ModelBlock[]): void {
    const first = blocks[0];
    if (first === undefined) return;
    this.resume();
    const reply_id = this.msg.id;
    this.drafts.push({ type: 'MODEL_CALL_START', created_at: first.created_at, reply_id, model_name: '' });
    for (const block of blocks) this.block(block);
    if (blocks.some((block) => block.finished_at === null)) return;
    this.modelCallEnd(blocks.at(-1)?.finished_at ?? first.created_at);
    this.park(blocks.filter((block) => block.type === 'tool_call'));
  }

  private modelCallEnd(created_at: string): void {
    this.drafts.push({
      type: 'MODEL_CALL_END',
      created_at,
      reply_id: this.msg.id,
      ...NO_USAGE,
      finished_reason: 'completed',
      metadata: { synthetic: true },
    });
  }

  /** Usage goes to the last model call that is over; without one, to an empty model call at the beginning. */
  private usage(): void {
    const { id: reply_id, created_at, usage } = this.msg;
    if (usage === null) return;
    let index = this.drafts.findLastIndex((draft) => draft.type === 'MODEL_CALL_END');
    if (index < 0) {
      const later = this.drafts.splice(1);
      this.drafts.push({ type: 'MODEL_CALL_START', created_at, reply_id, model_name: '' });
      this.modelCallEnd(created_at);
      this.drafts.push(...later);
      index = 2;
    }
    const end = { ...(this.drafts[index] as Extract<Draft, { type: 'MODEL_CALL_END' }>), ...usage };
    delete end.metadata;
    this.drafts[index] = end;
  }

  private block(block: ModelBlock): void {
    const { created_at, finished_at } = block;
    const of = { created_at, reply_id: this.msg.id, block_id: block.id };
    const call = { created_at, reply_id: this.msg.id, tool_call_id: block.id };
    const end = { created_at: finished_at ?? created_at, ...meta(block.metadata) };
    const out = this.drafts;
    switch (block.type) {
      case 'text':
        out.push({ type: 'TEXT_BLOCK_START', ...of });
        if (block.text !== '') out.push({ type: 'TEXT_BLOCK_DELTA', ...of, delta: block.text });
        if (finished_at !== null) out.push({ type: 'TEXT_BLOCK_END', ...of, ...end });
        return;
      case 'thinking':
        out.push({ type: 'THINKING_BLOCK_START', ...of });
        if (block.thinking !== '') out.push({ type: 'THINKING_BLOCK_DELTA', ...of, delta: block.thinking });
        if (finished_at !== null) out.push({ type: 'THINKING_BLOCK_END', ...of, ...end });
        return;
      case 'data': {
        const { media_type } = block.source;
        const data = block.source.type === 'base64' ? block.source.data : '';
        out.push({ type: 'DATA_BLOCK_START', ...of, media_type });
        if (data !== '') out.push({ type: 'DATA_BLOCK_DELTA', ...of, data, media_type });
        if (finished_at !== null) out.push({ type: 'DATA_BLOCK_END', ...of, ...end });
        return;
      }
      case 'tool_call':
        out.push({ type: 'TOOL_CALL_START', ...call, tool_call_name: block.name });
        if (block.input !== '') out.push({ type: 'TOOL_CALL_DELTA', ...call, delta: block.input });
        if (finished_at !== null) out.push({ type: 'TOOL_CALL_END', ...call, ...end });
    }
  }

  /** Questions, answers and hand-overs of a turn's calls, which leave their traces in state and suggested rules. */
  private park(calls: readonly ToolCallBlock[]): void {
    const asked = calls.filter((call) => this.wasAsked(call));
    const answered = asked.filter((call) => call.state !== 'asking');
    const submitted = calls.filter((call) => call.state === 'submitted' || this.isForeign(this.results.get(call.id)));
    const base = { created_at: calls.at(-1)?.finished_at ?? this.msg.created_at, reply_id: this.msg.id };
    if (asked.length > 0) this.drafts.push({ type: 'REQUIRE_USER_CONFIRM', ...base, tool_calls: asked });
    if (answered.length > 0) {
      const confirm_results = answered.map((call) => ({
        confirmed: !this.declined(call),
        tool_call: call,
        rules: null,
      }));
      this.drafts.push({ type: 'USER_CONFIRM_RESULT', ...base, confirm_results });
    }
    if (submitted.length > 0) this.drafts.push({ type: 'REQUIRE_EXTERNAL_EXECUTION', ...base, tool_calls: submitted });
    this.parked = asked.length > 0 || submitted.length > 0;
  }

  private wasAsked(call: ToolCallBlock): boolean {
    const { state } = call;
    return state === 'asking' || state === 'allowed' || call.suggested_rules.length > 0 || this.declined(call);
  }

  private declined(call: ToolCallBlock): boolean {
    const result = this.results.get(call.id);
    return call.state === 'finished' && (result === undefined || result.state === 'running');
  }

  private result(result: ToolResultBlock): void {
    const { id: tool_call_id, name: tool_call_name, created_at, finished_at, state } = result;
    const of = { reply_id: this.msg.id, tool_call_id };
    const out = this.drafts;
    if (this.isForeign(result)) {
      const at = finished_at ?? created_at;
      out.push({
        type: 'EXTERNAL_EXECUTION_RESULT',
        created_at: at,
        reply_id: of.reply_id,
        execution_results: [result],
      });
      return;
    }
    out.push({ type: 'TOOL_RESULT_START', created_at, ...of, tool_call_name });
    for (const block of result.output) {
      const at = { created_at: block.created_at, ...of, block_id: block.id };
      if (block.type === 'text') {
        out.push({ type: 'TOOL_RESULT_TEXT_DELTA', ...at, delta: block.text });
      } else {
        const { source } = block;
        const content = source.type === 'base64' ? { data: source.data } : { url: source.url };
        out.push({ type: 'TOOL_RESULT_DATA_DELTA', ...at, media_type: source.media_type, ...content });
      }
    }
    if (state === 'running') return;
    out.push({
      type: 'TOOL_RESULT_END',
      created_at: finished_at ?? created_at,
      ...of,
      state,
      ...meta(result.metadata),
    });
  }

  /** A result that TOOL_RESULT_* events cannot have produced: it came whole, as an external one. */
  private isForeign(result: ToolResultBlock | undefined): boolean {
    if (result === undefined || result.state === 'running') return false;
    if (result.metadata !== undefined && Object.keys(result.metadata).length === 0) return true;
    const texts = new Set<string>();
    return result.output.some((block) => {
      if (block.metadata !== undefined) return true;
      if (block.type === 'data') return block.name !== null || block.finished_at !== block.created_at;
      if (texts.has(block.id) || block.finished_at !== result.finished_at) return true;
      texts.add(block.id);
      return false;
    });
  }
}

const meta = (metadata: Metadata | undefined): { metadata?: Metadata } =>
  metadata !== undefined && Object.keys(metadata).length > 0 ? { metadata } : {};
