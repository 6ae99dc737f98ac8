import type { EventBody } from '../agent/event-body.js';
import { Interrupted, ReplyLimit } from '../agent/reply-context.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { runReply } from '../agent/reply.js';
import { Toolkit } from '../agent/toolkit.js';
import type { AgentEvent, EventOf } from '../events/agent-event.js';
import { approvalOf } from '../events/approval-note.js';
import { resultKey } from '../events/reply-blocks.js';
import { ReplyReducer } from '../events/reply-reducer.js';
import type { ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { type PermissionContext, withRules } from '../permissions/permission-context.js';
import { AgentState, type SessionState } from '../state/session-state.js';
import { CallWatch, callsOf, isOpen, SCHEMA } from './call-watch.js';
import type { Chance } from './chance.js';
import { toolResult, userMessage } from './event-builders.js';
import { RandomModel, randomInput, randomPermissions, randomRules, randomTools } from './fuzzed-tools.js';
import { request } from './reply-harness.js';

export type Outcome = 'ended' | 'parked' | 'lost';
type Answers = EventOf<'USER_CONFIRM_RESULT'>['confirm_results'];

/** What a holder has written down, from which another goes on. */
interface Checkpoint {
  readonly msg: Msg;
  readonly state: SessionState;
  readonly turns: number;
  /** How many events were out by then. */
  readonly events: number;
}

/** One random reply and all that happens to it, from one sequence of chance. What must never happen is thrown at once. */
export class FuzzedReply {
  readonly events: AgentEvent[] = [];
  /** What came about, for the test that the fuzz reaches all of it. */
  readonly seen = new Set<string>();
  private readonly base: ReplyRequest;
  private permissions: PermissionContext;
  private reply: ReplyReducer;
  private state = new AgentState();
  private turns = 0;
  private checkpoint: Checkpoint;
  /** Answers that no run has come to its end with. */
  private answers: EventBody[] = [];
  private faults = true;
  private readonly watch = new CallWatch(
    () => this.base.toolkit,
    () => this.reply,
    () => this.permissions,
  );
  private hung: () => void = () => undefined;
  private messages = 0;

  constructor(private readonly chance: Chance) {
    this.permissions = randomPermissions(chance);
    const tools = randomTools(chance, (name, { tool_call_id }, input) => {
      this.seen.add(this.watch.begun(name, tool_call_id, input));
    });
    const groups = [{ name: 'group', description: 'group', active: chance.hits(0.5) }];
    const model = new RandomModel(
      chance.fork(),
      () => this.hung(),
      () => this.faults,
    );
    this.base = request(model, {
      max_iters: chance.between(1, 6),
      toolkit: new Toolkit(tools, { groups }),
      ...(chance.hits(0.1) && { structured: SCHEMA, structured_grace_iters: 2 }),
    });
    this.reply = ReplyReducer.blank('r', 'agent');
    this.checkpoint = this.written();
  }

  get msg(): Msg {
    return this.reply.msg;
  }

  get open(): ToolCallBlock[] {
    return callsOf(this.reply).filter((call) => isOpen(this.reply, call));
  }

  get waiting(): ToolCallBlock[] {
    return this.open.filter(({ state }) => state === 'asking' || state === 'submitted');
  }

  /** Whether the model heard the results of all its calls before the reply was completed. */
  get isHeard(): boolean {
    if (this.msg.finished_reason !== 'completed' || this.base.structured !== undefined) return true;
    const { content } = this.msg;
    const isRewind = (event: AgentEvent) => event.type === 'CUSTOM' && event.name === 'reply_rewound';
    const from = this.events.findLastIndex((event) => event.type === 'MODEL_CALL_START' || isRewind(event));
    if (this.events.slice(from).some((event) => event.type === 'MODEL_CALL_START')) {
      return !this.events.slice(from).some((event) => event.type === 'TOOL_CALL_START');
    }
    const tail = content.findLastIndex(({ type }) => type === 'hint' || type === 'tool_result');
    return !content.slice(tail + 1).some(({ type }) => type === 'tool_call');
  }

  /** From here on nothing fails but what the loop does itself. */
  calm(): void {
    this.faults = false;
  }

  /** One run of it, until it ends, parks, or is lost; then it is put back to what was written down. */
  async run(): Promise<Outcome> {
    const { chance, base } = this;
    const [stop, handover] = [new AbortController(), new AbortController()];
    const fault = this.faults && chance.hits(0.4) ? chance.pick(['stop', 'limit', 'handover', 'crash'] as const) : null;
    const at = chance.between(1, 60);
    const strike = () => {
      if (fault === 'stop') stop.abort(new Interrupted());
      else if (fault === 'limit') stop.abort(new ReplyLimit('Too long.'));
      else handover.abort();
    };
    this.hung = () => void setImmediate(strike);
    const req: ReplyRequest = {
      ...base,
      reply: this.reply,
      state: this.state,
      permissions: this.permissions,
      start_iter: this.turns,
      signal: stop.signal,
      handover: handover.signal,
      onToolsStarting: async () => this.write(),
    };
    let seen = 0;
    this.hear();
    for await (const event of runReply(req)) {
      this.out(event);
      seen += 1;
      if (this.watch.broken !== undefined) throw this.watch.broken;
      if (seen !== at || fault === null) continue;
      this.seen.add(fault);
      if (fault === 'crash') return this.crash();
      strike();
    }
    if (this.msg.finished_at !== null) return 'ended';
    const isLeft =
      handover.signal.aborted &&
      (this.waiting.length === 0 || this.inModelCall || this.open.some((it) => this.isRunning(it)));
    if (isLeft) return this.reopen();
    this.answers = [];
    this.write();
    if (this.waiting.length === 0) throw new Error('it parked, and waits for nobody');
    this.seen.add('parked');
    return 'parked';
  }

  /** Somebody answers: some calls or all, some twice, some that nobody was asked about. */
  answer(isExact: boolean): void {
    const { chance, waiting } = this;
    const named = isExact ? waiting : waiting.filter(() => chance.hits(0.6));
    const asked = named.filter(({ state }) => state === 'asking').map((call) => this.confirmation(call));
    const results = named
      .filter(({ state }) => state === 'submitted')
      .map(({ id }) => toolResult(id, { state: chance.pick(['success', 'error'] as const) }));
    if (!isExact && chance.hits(0.2)) {
      const stranger = { ...callsOf(this.reply)[0], id: 'foreign' } as ToolCallBlock;
      asked.push(...asked.slice(0, 1), { confirmed: true, tool_call: stranger, rules: null });
      results.push(
        ...results.slice(0, 1),
        toolResult('foreign'),
        ...callsOf(this.reply).map(({ id }) => toolResult(id)),
      );
      this.seen.add('strange answers');
    }
    if (asked.length > 0) this.answers.push({ type: 'USER_CONFIRM_RESULT', confirm_results: asked });
    if (results.length > 0) this.answers.push({ type: 'EXTERNAL_EXECUTION_RESULT', execution_results: results });
    if (chance.hits(0.2))
      this.permissions = withRules(
        this.permissions,
        named.flatMap((call) => call.suggested_rules),
      );
  }

  /** Between two runs of a parked reply. */
  meanwhile(): void {
    const { chance } = this;
    if (chance.hits(0.1)) {
      const message = userMessage(`u${(this.messages += 1)}`);
      this.out({ type: 'CUSTOM', ...this.stamp(), name: 'user_message', value: { message } });
      this.seen.add('message');
    }
    if (chance.hits(0.1)) this.permissions = withRules(this.permissions, randomRules(chance, 2));
    if (chance.hits(0.05)) this.permissions = randomPermissions(chance);
  }

  private confirmation(tool_call: ToolCallBlock): Answers[number] {
    const { chance } = this;
    const given = { tool_call: structuredClone(tool_call), rules: null };
    if (chance.hits(0.6)) {
      if (chance.hits(0.2)) given.tool_call.input = chance.hits(0.8) ? randomInput(chance) : '{';
      return { ...given, confirmed: true };
    }
    return { ...given, confirmed: false, cause: chance.pick(['user', 'expired', 'message'] as const), comment: 'No.' };
  }

  /** What was answered, as far as somebody was asked; the first answer to a call counts. It is on record before the reply starts. */
  private hear(): void {
    for (const body of this.answers) {
      const done = new Set<string>();
      const takes = (id: string, state: string) => this.stateOf(id) === state && !done.has(id) && done.add(id);
      if (body.type === 'USER_CONFIRM_RESULT') {
        const confirm_results = body.confirm_results.filter(({ tool_call }) => takes(tool_call.id, 'asking'));
        this.watch.answered({ confirm_results });
        if (confirm_results.length > 0) this.say({ ...body, confirm_results });
      } else if (body.type === 'EXTERNAL_EXECUTION_RESULT') {
        const execution_results = body.execution_results.filter(({ id }) => takes(id, 'submitted'));
        if (execution_results.length > 0) this.say({ ...body, execution_results });
      }
    }
    if (this.answers.length > 0) this.write();
  }

  private out(event: AgentEvent): void {
    this.events.push(event);
    this.seen.add(event.type);
    this.watch.saw(event);
    if (event.type === 'MODEL_CALL_END' && event.finished_reason === 'completed') this.turns += 1;
    if (event.type === 'TOOL_RESULT_END') this.seen.add(event.state);
    if (event.type === 'REPLY_END') this.seen.add(event.finished_reason);
    const isStep = event.type === 'MODEL_CALL_END' || event.type === 'TOOL_RESULT_END';
    if (isStep && this.chance.hits(0.5)) this.write();
  }

  private crash(): Outcome {
    this.events.length = this.chance.between(Math.max(1, this.checkpoint.events), this.events.length);
    return this.reopen();
  }

  /** As a holder does that goes on from what another one wrote down. */
  private reopen(): Outcome {
    const { checkpoint } = this;
    this.reply = new ReplyReducer(structuredClone(checkpoint.msg));
    this.state = new AgentState(checkpoint.state);
    this.turns = checkpoint.turns;
    const open = structuredClone(this.open);
    const started = this.msg.content.filter(
      (it): it is ToolResultBlock => it.type === 'tool_result' && it.state === 'running',
    );
    const keep_block_ids = this.msg.content
      .filter((block) => block.type !== 'tool_result' || block.state !== 'running')
      .map((block) => (block.type === 'tool_result' ? resultKey(block.id) : block.id));
    const value = { reply_id: 'r', keep_block_ids, usage: this.msg.usage };
    const rewound: AgentEvent = { type: 'CUSTOM', ...this.stamp(), name: 'reply_rewound', value };
    this.reply.apply(rewound);
    this.events.push(rewound);
    for (const { id: tool_call_id, name: tool_call_name } of started) {
      if (this.base.toolkit.get(tool_call_name)?.is_idempotent === true) continue;
      this.say({ type: 'TOOL_RESULT_START', tool_call_id, tool_call_name });
      this.say({ type: 'TOOL_RESULT_END', tool_call_id, state: 'error' });
    }
    // What the withdrawal took back of questions is said anew before the reply starts again.
    const still = open.filter((call) => isOpen(this.reply, call));
    const asked = still.filter((call) => call.state !== 'submitted' && call.state !== 'pending' && approvalOf(call));
    const submitted = still.filter(({ state }) => state === 'submitted');
    if (asked.length > 0) this.say({ type: 'REQUIRE_USER_CONFIRM', tool_calls: asked });
    if (submitted.length > 0) this.say({ type: 'REQUIRE_EXTERNAL_EXECUTION', tool_calls: submitted });
    return 'lost';
  }

  private say(body: EventBody): void {
    const event = { ...this.stamp(), run_id: 'run', reply_id: 'r', ...body } as AgentEvent;
    if (!this.reply.apply(event)) throw new Error(`${event.type} changes nothing`);
    this.events.push(event);
  }

  private stamp() {
    return { id: this.base.newId(), created_at: this.base.clock().toISOString() };
  }

  private write(): void {
    this.checkpoint = this.written();
  }

  private written(): Checkpoint {
    const { events, turns, state } = this;
    return { msg: structuredClone(this.msg), state: state.value, turns, events: events.length };
  }

  private isRunning({ id, state }: ToolCallBlock): boolean {
    return state !== 'submitted' && this.reply.result(id)?.state === 'running';
  }

  private stateOf(id: string): ToolCallBlock['state'] | undefined {
    const call = this.reply.block(id);
    return call?.type === 'tool_call' && isOpen(this.reply, call) ? call.state : undefined;
  }

  private get inModelCall(): boolean {
    const last = this.events.findLast((event) => event.type === 'MODEL_CALL_START' || event.type === 'MODEL_CALL_END');
    return last?.type === 'MODEL_CALL_START';
  }
}
