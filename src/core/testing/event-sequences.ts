import fc from 'fast-check';
import type { AgentEvent } from '../events/agent-event.js';
import type { ToolResultBlock } from '../messages/block.js';
import { NO_USAGE } from '../messages/message.js';
import { SequenceWriter, TEXTS, type SequenceBlock as Block } from './sequence-writer.js';
import { userMessage } from './event-builders.js';

const REASONS = ['completed', 'interrupted', 'error', 'exceed_max_iters'] as const;
const CLOSINGS = ['interrupted', 'error'] as const;
/** Random event sequences that obey the grammar; they may end anywhere. Shrinks towards short ones. */
export const eventSequences = (maxLength = 120): fc.Arbitrary<AgentEvent[]> =>
  fc.array(fc.noBias(fc.nat(2 ** 30)), { maxLength, size: 'max' }).map((tape) => new Walk(tape).run());

/** Walks the grammar; every choice is read from the tape. Written apart from the checker, so that each tests the other. */
class Walk extends SequenceWriter {
  private mode: 'idle' | 'open' | 'parked' = 'idle';
  private inModel = false;
  private turn = 0;
  private rewound = false;
  private blocks: Block[] = [];

  constructor(private readonly tape: readonly number[]) {
    super();
  }

  run(): AgentEvent[] {
    for (const value of this.tape) {
      this.seed = value;
      const actions = this.actions();
      actions[this.pick(actions.length)]?.();
    }
    return this.events;
  }

  private get calls(): Block[] {
    return this.blocks.filter((block) => block.kind === 'tool_call');
  }

  private get waiting(): Block[] {
    return this.calls.filter((call) => call.call === 'asking' || call.call === 'submitted');
  }

  private get localRunning(): boolean {
    return this.calls.some((call) => call.result === 'running' && call.call !== 'submitted');
  }

  private actions(): (() => void)[] {
    const actions: (() => void)[] = [() => this.emit({ type: 'CUSTOM', name: 'state_updated', value: {} })];
    const quiet = !this.inModel && !this.localRunning;
    const atRest = this.mode === 'idle' || (quiet && (this.mode === 'parked' || this.waiting.length > 0));
    if (atRest) actions.push(() => this.message());
    if (this.reply !== '') actions.push(() => (this.pick(6) === 0 ? this.rewind() : undefined));
    if (this.reply !== '') actions.push(() => (this.pick(20) === 0 ? this.remove() : undefined));
    if (this.mode === 'idle') {
      actions.push(
        () => this.start(),
        () => this.start(),
      );
      return actions;
    }
    actions.push(() => this.emit({ type: 'USER_INTERRUPT', reply_id: this.reply }));
    if (atRest || this.rewound) actions.push(() => this.resume());
    if (this.inModel) this.modelActions(actions);
    else this.outerActions(actions);
    return actions;
  }

  private modelActions(actions: (() => void)[]): void {
    actions.push(
      () => this.openBlock(),
      () => this.openBlock(),
    );
    const open = this.blocks.filter((block) => block.open);
    if (open.length > 0) {
      actions.push(
        () => this.delta(this.one(open)),
        () => this.delta(this.one(open)),
        () => this.close(this.one(open)),
      );
    } else {
      actions.push(
        () => this.endModel(),
        () => this.endModel(),
      );
    }
  }

  private outerActions(actions: (() => void)[]): void {
    const { reply: reply_id } = this;
    const unresolved = this.calls.filter((call) => call.result !== 'ended');
    const running = this.calls.filter((call) => call.result === 'running');
    const fresh = this.calls.filter((call) => call.result === 'none');
    const asking = this.calls.filter((call) => call.call === 'asking');
    const submitted = this.calls.filter((call) => call.call === 'submitted');
    if (fresh.length > 0) actions.push(() => this.startResult(this.one(fresh)));
    if (running.length > 0) {
      actions.push(
        () => this.resultDelta(this.one(running)),
        () => this.endResult(this.one(running)),
      );
    }
    if (asking.length > 0) actions.push(() => this.answer(this.one(asking)));
    if (submitted.length > 0) actions.push(() => this.external(this.one(submitted)));
    const askable = fresh.filter((call) => call.call !== 'declined');
    if (!this.localRunning && askable.length > 0) actions.push(() => this.park(askable));
    if (unresolved.length === 0) actions.push(() => this.end());
    if (this.mode === 'parked') return;
    actions.push(() => this.hint());
    if (unresolved.length > 0) return;
    const begin = () => {
      this.inModel = true;
      this.turn += 1;
      this.emit({ type: 'MODEL_CALL_START', reply_id, model_name: 'm' });
    };
    actions.push(begin, begin, begin);
  }

  private message(): void {
    const message = userMessage(this.pick(5) === 0 ? 'u-again' : this.id('u'), this.one(TEXTS), this.now);
    this.emit({ type: 'CUSTOM', name: 'user_message', value: { message } });
  }

  private start(): void {
    Object.assign(this, { reply: this.id('r'), mode: 'open', blocks: [], turn: 0, inModel: false, rewound: false });
    const reply_id = this.reply;
    this.emit({ type: 'REPLY_START', reply_id, session_id: 's', name: 'agent', role: 'assistant', ...this.metadata() });
  }

  private resume(): void {
    this.mode = 'open';
    this.rewound = false;
    this.emit({ type: 'REPLY_START', reply_id: this.reply, session_id: 's', name: 'agent', role: 'assistant' });
  }

  private end(): void {
    const finished_reason = this.one(this.mode === 'parked' ? CLOSINGS : REASONS);
    const error = finished_reason === 'error' ? { type: 'upstream' as const, message: 'It failed.' } : null;
    const { reply: reply_id } = this;
    if (finished_reason === 'exceed_max_iters') this.emit({ type: 'EXCEED_MAX_ITERS', reply_id, name: 'agent' });
    this.emit({ type: 'REPLY_END', reply_id, session_id: 's', finished_reason, error });
    this.mode = 'idle';
    this.rewound = false;
  }

  private remove(): void {
    this.emit({ type: 'CUSTOM', name: 'reply_removed', value: { reply_id: this.reply } });
    Object.assign(this, { mode: 'idle', reply: '' });
  }

  private rewind(): void {
    const last = this.pick(this.turn + 1);
    const keep: string[] = [];
    const kept = this.blocks.filter((block) => {
      if (block.open || block.turn > last || this.pick(4) === 0) return false;
      keep.push(block.id);
      if (block.kind !== 'tool_call') return true;
      const final = block.result === 'ended' || (block.result === 'running' && block.call === 'submitted');
      if (final && (block.turn < last || this.pick(3) > 0)) keep.push(`result:${block.id}`);
      else Object.assign(block, { call: 'ready', result: 'none' });
      return true;
    });
    const tokens = { ...NO_USAGE, input_tokens: 3, output_tokens: 2, cache_input_tokens: 1, reasoning_tokens: 1 };
    const usage = this.one([{}, { usage: null }, { usage: tokens }]);
    Object.assign(this, { blocks: kept, mode: 'open', inModel: false, rewound: true });
    const value = { reply_id: this.reply, keep_block_ids: keep, ...usage };
    this.emit({ type: 'CUSTOM', name: 'reply_rewound', value });
  }

  private add(kind: Block['kind'], open: boolean): string {
    const id = this.id(kind);
    this.blocks.push({ id, kind, turn: this.turn, open, call: 'ready', result: 'none' });
    return id;
  }

  private openBlock(): void {
    const kind = this.one(['text', 'thinking', 'data', 'tool_call', 'tool_call'] as const);
    const reply_id = this.reply;
    const id = this.add(kind, true);
    if (kind === 'text') this.emit({ type: 'TEXT_BLOCK_START', reply_id, block_id: id });
    if (kind === 'thinking') this.emit({ type: 'THINKING_BLOCK_START', reply_id, block_id: id });
    if (kind === 'data') this.emit({ type: 'DATA_BLOCK_START', reply_id, block_id: id, media_type: 'image/png' });
    if (kind === 'tool_call')
      this.emit({ type: 'TOOL_CALL_START', reply_id, tool_call_id: id, tool_call_name: 'tool' });
  }

  private close(block: Block): void {
    block.open = false;
    const of = { reply_id: this.reply, block_id: block.id, ...this.metadata() };
    const { block_id: tool_call_id, ...rest } = of;
    if (block.kind === 'text') this.emit({ type: 'TEXT_BLOCK_END', ...of });
    if (block.kind === 'thinking') this.emit({ type: 'THINKING_BLOCK_END', ...of });
    if (block.kind === 'data') this.emit({ type: 'DATA_BLOCK_END', ...of });
    if (block.kind === 'tool_call') this.emit({ type: 'TOOL_CALL_END', ...rest, tool_call_id });
  }

  private endModel(): void {
    this.inModel = false;
    const tokens = { ...NO_USAGE, input_tokens: this.pick(9), output_tokens: 1, reasoning_tokens: this.pick(2) };
    const reply_id = this.reply;
    const synthetic = this.pick(3) === 0 ? { metadata: { synthetic: true } } : {};
    this.emit({ type: 'MODEL_CALL_END', reply_id, ...tokens, finished_reason: 'completed', ...synthetic });
  }

  private hint(): void {
    const block_id = this.add('hint', false);
    this.emit({ type: 'HINT_BLOCK', reply_id: this.reply, block_id, source: null, hint: 'Note', ...this.metadata() });
  }

  private startResult(call: Block): void {
    call.result = 'running';
    this.emit({ type: 'TOOL_RESULT_START', reply_id: this.reply, tool_call_id: call.id, tool_call_name: 'tool' });
  }

  private endResult(call: Block): void {
    const state = this.one(this.mode === 'parked' ? CLOSINGS : (['success', 'error', 'denied'] as const));
    Object.assign(call, { result: 'ended', call: 'ready' });
    this.emit({ type: 'TOOL_RESULT_END', reply_id: this.reply, tool_call_id: call.id, state, ...this.metadata() });
  }

  private park(askable: readonly Block[]): void {
    const named = this.some(askable);
    if (named.length === 0) return;
    const confirm = this.pick(2) === 0;
    for (const call of named) call.call = confirm ? 'asking' : 'submitted';
    const type = confirm ? 'REQUIRE_USER_CONFIRM' : 'REQUIRE_EXTERNAL_EXECUTION';
    this.mode = 'parked';
    this.emit({ type, reply_id: this.reply, tool_calls: named.map((call) => this.callBlock(call, '{}')) });
  }

  private answer(call: Block): void {
    const confirmed = this.pick(2) === 0;
    call.call = confirmed ? 'ready' : 'declined';
    const tool_call = this.callBlock(call, this.one(TEXTS));
    const confirm_results = [{ confirmed, tool_call, rules: null }];
    this.emit({ type: 'USER_CONFIRM_RESULT', reply_id: this.reply, confirm_results });
  }

  private external(call: Block): void {
    Object.assign(call, { result: 'ended', call: 'ready' });
    const at = this.now;
    const finished_at = this.pick(2) === 0 ? null : at;
    const text = { type: 'text' as const, id: this.one(['x', 'y']), text: 'done', created_at: at, finished_at };
    const source = { type: 'url' as const, url: 'https://x.test/', media_type: 'image/png' };
    const data = {
      type: 'data' as const,
      id: 'd',
      source,
      name: this.one(['a.png', null]),
      created_at: at,
      finished_at,
    };
    const output = this.some([text, data, { ...text }]);
    const base = { id: call.id, name: 'tool', output, state: this.one(['success', 'error'] as const) };
    const result: ToolResultBlock = { type: 'tool_result', ...base, created_at: at, finished_at, ...this.metadata() };
    this.emit({ type: 'EXTERNAL_EXECUTION_RESULT', reply_id: this.reply, execution_results: [result] });
  }
}
