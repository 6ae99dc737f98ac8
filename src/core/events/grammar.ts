import { CUSTOM_EVENTS, type AgentEvent, type AgentEventType, type EventOf } from './agent-event.js';
import { ReplyState, type Kind } from './grammar-state.js';

/** An event that may not stand where it stands. */
export class GrammarError extends Error {
  override readonly name = 'GrammarError';
  constructor(
    readonly type: AgentEventType,
    readonly reason: string,
  ) {
    super(`${type}: ${reason}`);
  }
}

/**
 * Holds the ordering rules of a session's events, O(1) per event. It starts before the first event of a session; to start in the middle,
 * feed it `expand(messages)` first. After a GrammarError its state is undefined.
 *
 * - At most one reply is open; only it may be spoken of. A parked reply is open, but lets user messages pass.
 * - Text, thinking, data and tool calls live inside a model call and are closed when it ends; hints and tool results outside.
 * - The next model call waits for the results of all calls; so does the end of the reply.
 * - REPLY_START comes again where somebody goes on with the reply: when it is parked, after a rewind, and behind answers and results.
 * - REQUIRE_* parks: until REPLY_START (same id) only answers, further parking and its closing follow: interrupted or failed.
 * - `reply_rewound` names finished blocks of the reply that is open, or of the last one; a call without a kept result must belong to the
 *   last model turn that is kept. The reply is then open with these blocks.
 */
export class GrammarChecker {
  private state: 'idle' | 'open' | 'parked' = 'idle';
  private reply: ReplyState | null = null;
  private readonly seen = new Set<string>();
  /** The last was an answer, or a result behind which nothing runs: somebody may go on with the reply from here. */
  private restartable = false;
  /** EXCEED_MAX_ITERS was the last event. */
  private exceeded = false;

  /** The id of the open reply (parked or not). */
  get openReply(): string | null {
    return this.state === 'idle' ? null : (this.reply?.id ?? null);
  }

  /** The open reply waits for a human or an external result, and nothing of it runs. */
  get parked(): boolean {
    if (this.state === 'idle' || this.reply === null) return false;
    return this.state === 'parked' ? this.reply.runningResults === 0 : this.reply.waiting;
  }

  /** Nothing is under way: the sequence may end here. */
  get complete(): boolean {
    return this.state === 'idle' || this.parked;
  }

  accept(event: AgentEvent): void {
    if (this.exceeded && event.type !== 'REPLY_END' && event.type !== 'CUSTOM' && event.type !== 'USER_INTERRUPT') {
      this.fail(event, 'only REPLY_END may follow EXCEED_MAX_ITERS');
    }
    if (event.type === 'CUSTOM') return this.custom(event);
    if (event.type === 'REPLY_START') return this.start(event);
    const reply = this.reply;
    if (this.state === 'idle' || reply === null) return this.fail(event, 'no reply is open');
    if (event.reply_id !== reply.id) return this.fail(event, `the open reply is ${reply.id}`);
    switch (event.type) {
      case 'MODEL_CALL_START':
        this.running(event, reply);
        this.check(event, reply.unresolved === 0, 'a tool call has no result yet');
        reply.beginModelCall();
        return;
      case 'MODEL_CALL_END':
        this.check(event, reply.inModelCall, 'no model call is open');
        this.check(event, reply.openBlocks === 0, 'a block is still open');
        reply.inModelCall = false;
        return;
      case 'TEXT_BLOCK_START':
        return this.open(event, reply, event.block_id, 'text');
      case 'THINKING_BLOCK_START':
        return this.open(event, reply, event.block_id, 'thinking');
      case 'DATA_BLOCK_START':
        return this.open(event, reply, event.block_id, 'data');
      case 'TOOL_CALL_START':
        return this.open(event, reply, event.tool_call_id, 'tool_call');
      case 'TEXT_BLOCK_DELTA':
      case 'TEXT_BLOCK_END':
        return this.within(event, reply, event.block_id, 'text');
      case 'THINKING_BLOCK_DELTA':
      case 'THINKING_BLOCK_END':
        return this.within(event, reply, event.block_id, 'thinking');
      case 'DATA_BLOCK_DELTA':
      case 'DATA_BLOCK_END':
        return this.within(event, reply, event.block_id, 'data');
      case 'TOOL_CALL_DELTA':
      case 'TOOL_CALL_END':
        return this.within(event, reply, event.tool_call_id, 'tool_call');
      case 'HINT_BLOCK':
        this.running(event, reply);
        this.check(event, reply.add(event.block_id, 'hint'), 'the block id is taken');
        return;
      case 'TOOL_RESULT_START':
      case 'TOOL_RESULT_TEXT_DELTA':
      case 'TOOL_RESULT_DATA_DELTA':
      case 'TOOL_RESULT_END':
        return this.toolResult(event, reply);
      case 'REQUIRE_USER_CONFIRM':
      case 'REQUIRE_EXTERNAL_EXECUTION':
        return this.park(event, reply);
      case 'USER_CONFIRM_RESULT':
        this.answered(event, reply);
        for (const { confirmed, tool_call } of event.confirm_results) {
          this.check(event, reply.answer(tool_call.id, confirmed), `call ${tool_call.id} does not ask`);
        }
        return;
      case 'EXTERNAL_EXECUTION_RESULT':
        this.answered(event, reply);
        for (const result of event.execution_results) {
          this.check(event, result.state !== 'running', `the result of ${result.id} is not final`);
          this.check(event, reply.external(result.id), `call ${result.id} was not submitted`);
        }
        return;
      case 'EXCEED_MAX_ITERS':
        this.running(event, reply);
        this.check(event, reply.unresolved === 0, 'a tool call has no result yet');
        this.exceeded = true;
        return;
      case 'REPLY_END':
        return this.end(event, reply);
      case 'USER_INTERRUPT':
        return;
    }
  }

  private start(event: EventOf<'REPLY_START'>): void {
    if (this.state === 'idle') {
      this.check(event, !this.seen.has(event.reply_id), 'the reply has ended');
      this.seen.add(event.reply_id);
      this.reply = new ReplyState(event.reply_id);
    } else {
      this.check(event, event.reply_id === this.reply?.id, `the open reply is ${this.reply?.id}`);
      this.check(event, this.parked || this.restartable || this.reply?.rewound === true, 'the reply is running');
      if (this.reply !== null) this.reply.rewound = false;
    }
    this.state = 'open';
    this.restartable = false;
  }

  private end(event: EventOf<'REPLY_END'>, reply: ReplyState): void {
    const exceeded = this.exceeded;
    this.exceeded = false;
    this.check(
      event,
      !exceeded || event.finished_reason !== 'completed',
      'a reply is not completed after EXCEED_MAX_ITERS',
    );
    this.outside(event, reply);
    this.check(event, reply.unresolved === 0, 'a tool call has no result yet');
    this.check(
      event,
      this.state !== 'parked' || event.finished_reason === 'interrupted' || event.finished_reason === 'error',
      'a parked reply can only be interrupted or fail',
    );
    this.state = 'idle';
  }

  private park(event: EventOf<'REQUIRE_USER_CONFIRM' | 'REQUIRE_EXTERNAL_EXECUTION'>, reply: ReplyState): void {
    this.outside(event, reply);
    const confirm = event.type === 'REQUIRE_USER_CONFIRM';
    for (const { id } of event.tool_calls) {
      this.check(event, reply.require(id, confirm ? 'asking' : 'submitted'), `call ${id} cannot be asked for`);
    }
    this.check(event, reply.runningResults === 0, 'a tool is running');
    this.check(event, reply.waiting, 'it names no call');
    this.state = 'parked';
  }

  private answered(event: AgentEvent, reply: ReplyState): void {
    this.outside(event, reply);
    this.restartable ||= this.parked;
  }

  private toolResult(
    event: EventOf<'TOOL_RESULT_START' | 'TOOL_RESULT_TEXT_DELTA' | 'TOOL_RESULT_DATA_DELTA' | 'TOOL_RESULT_END'>,
    reply: ReplyState,
  ): void {
    const id = event.tool_call_id;
    this.outside(event, reply);
    if (event.type === 'TOOL_RESULT_START') {
      this.restartable = false;
      return this.check(event, reply.startResult(id), `call ${id} is unknown or has a result`);
    }
    this.check(event, reply.isRunning(id), `the result of ${id} is not running`);
    if (event.type !== 'TOOL_RESULT_END') return;
    this.check(
      event,
      this.state !== 'parked' || event.state === 'interrupted' || event.state === 'error',
      'while parked a result can only be interrupted or fail',
    );
    reply.endResult(id);
    this.restartable = reply.runningResults === 0;
  }

  private custom(event: EventOf<'CUSTOM'>): void {
    switch (event.name) {
      case 'user_message':
        return this.check(event, this.complete, 'a user message waits until no reply runs');
      case 'reply_removed': {
        const { data } = CUSTOM_EVENTS.reply_removed.safeParse(event.value);
        if (data === undefined) return this.fail(event, 'the value is malformed');
        this.seen.delete(data.reply_id);
        if (this.reply?.id !== data.reply_id) return;
        this.state = 'idle';
        this.reply = null;
        this.exceeded = false;
        return;
      }
      case 'reply_rewound': {
        const { data } = CUSTOM_EVENTS.reply_rewound.safeParse(event.value);
        if (data === undefined) return this.fail(event, 'the value is malformed');
        if (this.reply?.id !== data.reply_id) return this.fail(event, 'only the open or the last reply can be rewound');
        const refusal = this.reply.rewind(new Set(data.keep_block_ids));
        if (refusal !== null) return this.fail(event, refusal);
        this.state = 'open';
        this.exceeded = false;
        return;
      }
      default:
        return;
    }
  }

  private open(event: AgentEvent, reply: ReplyState, id: string, kind: Kind): void {
    this.check(event, reply.inModelCall, 'no model call is open');
    this.check(event, reply.add(id, kind), 'the block id is taken');
    reply.openBlocks += 1;
  }

  private within(event: AgentEvent, reply: ReplyState, id: string, kind: Kind): void {
    this.check(event, reply.isOpen(id, kind), 'the block is not open');
    if (event.type.endsWith('_END')) reply.close(id);
  }

  private outside(event: AgentEvent, reply: ReplyState): void {
    this.check(event, !reply.inModelCall, 'a model call is open');
  }

  private running(event: AgentEvent, reply: ReplyState): void {
    this.outside(event, reply);
    this.check(event, this.state === 'open', 'the reply is parked');
    this.restartable = false;
  }

  private check(event: AgentEvent, holds: boolean, reason: string): void {
    if (!holds) this.fail(event, reason);
  }

  private fail(event: AgentEvent, reason: string): never {
    throw new GrammarError(event.type, reason);
  }
}

/** Throws GrammarError on the first event that is out of order, and, with `complete`, when the sequence ends in the middle of a reply. */
export function checkGrammar(events: Iterable<AgentEvent>, options: { complete?: boolean } = {}): void {
  const checker = new GrammarChecker();
  let last: AgentEvent | null = null;
  for (const event of events) {
    checker.accept(event);
    last = event;
  }
  if (options.complete === true && last !== null && !checker.complete) {
    throw new GrammarError(last.type, 'the sequence ends in the middle of a reply');
  }
}
