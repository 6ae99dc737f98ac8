import { isDeepStrictEqual } from 'node:util';
import { STRUCTURED_OUTPUT_TOOL, structuredOutputTool } from '../agent/structured-output.js';
import { factsOf } from '../agent/tool-facts-of.js';
import { parseToolInput } from '../agent/tool-input.js';
import type { Toolkit } from '../agent/toolkit.js';
import type { AgentEvent, EventOf } from '../events/agent-event.js';
import type { ReplyReducer } from '../events/reply-reducer.js';
import type { ToolCallBlock } from '../messages/block.js';
import { evaluate } from '../permissions/evaluate.js';
import type { PermissionContext } from '../permissions/permission-context.js';
import type { PermissionDecision } from '../permissions/permission-decision.js';
import { noShell } from './reply-harness.js';

export const SCHEMA = { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] };

/** Watches what becomes of the calls of a reply, and keeps the first thing that must not be. */
export class CallWatch {
  broken: Error | undefined;
  private readonly ran = new Map<string, number>();
  private readonly confirmed = new Map<string, string>();
  private readonly declined = new Set<string>();

  constructor(
    private readonly toolkit: () => Toolkit,
    private readonly reply: () => ReplyReducer,
    private readonly permissions: () => PermissionContext,
  ) {}

  answered({ confirm_results }: Pick<EventOf<'USER_CONFIRM_RESULT'>, 'confirm_results'>): void {
    for (const { tool_call, confirmed } of confirm_results) {
      if (confirmed) this.confirmed.set(tool_call.id, tool_call.input);
      else this.declined.add(tool_call.id);
    }
  }

  saw(event: AgentEvent): void {
    if (event.type === 'REQUIRE_USER_CONFIRM') {
      for (const call of event.tool_calls) {
        const { behavior } = this.decisionOn(call, JSON.parse(call.input));
        if (behavior !== 'ask' || this.declined.has(call.id)) this.fail(`${call.id} is asked about: ${behavior}`);
      }
    } else if (event.type === 'REQUIRE_EXTERNAL_EXECUTION') {
      for (const call of event.tool_calls) this.demand(this.decisionOn(call, JSON.parse(call.input)), call);
    }
  }

  /** A tool runs: it must have been allowed, by the session or by an answer, and never twice if that matters. */
  begun(name: string, id: string, input: unknown): 'run' | 'run again' {
    const calls = callsOf(this.reply());
    const call = calls.find((it) => it.id === id);
    const tool = this.toolkit().get(name);
    if (call === undefined || tool === undefined) return this.fail(`${id} runs, and is not there`);
    if (!isDeepStrictEqual(JSON.parse(call.input), input)) this.fail(`${id} runs with another input`);
    if (this.declined.has(id)) this.fail(`${id} runs, and was declined`);
    this.demand(this.decisionOn(call, input), call);
    const before = calls.slice(0, calls.indexOf(call));
    const overtakes = before.some((it) => this.isAsked(it)) && !this.confirmed.has(id);
    if (overtakes && !tool.is_concurrency_safe) this.fail(`${id} overtakes a call that is asked about`);
    const times = (this.ran.get(id) ?? 0) + 1;
    this.ran.set(id, times);
    if (times > 1 && !tool.is_idempotent) this.fail(`${id} runs again`);
    return times > 1 ? 'run again' : 'run';
  }

  /** Whether somebody is asked about it, or will be after the tools that run now. */
  private isAsked(call: ToolCallBlock): boolean {
    if (!isOpen(this.reply(), call) || call.state !== 'pending') return call.state === 'asking';
    const tool = this.toolkit().get(call.name);
    if (tool === undefined || tool.group !== undefined) return false;
    const parsed = parseToolInput(tool, call.input);
    return parsed.ok && this.decisionOn(call, parsed.input).behavior === 'ask';
  }

  private demand({ behavior }: PermissionDecision, call: ToolCallBlock): void {
    const isConfirmed = this.confirmed.get(call.id) === call.input;
    const isRight = behavior === 'allow' || (behavior === 'ask' && isConfirmed);
    if (!isRight) this.fail(`${call.id} runs, and the decision on it is ${behavior}`);
  }

  private decisionOn(call: ToolCallBlock, input: unknown): PermissionDecision {
    const permissions = this.permissions();
    const isConfirmed = this.confirmed.has(call.id) && permissions.mode === 'dont_ask';
    const context = isConfirmed ? { ...permissions, mode: 'default' as const } : permissions;
    const isStructured = call.name === STRUCTURED_OUTPUT_TOOL;
    const tool = isStructured ? structuredOutputTool(SCHEMA) : this.toolkit().get(call.name);
    if (tool === undefined) throw new Error(`There is no tool ${call.name}.`);
    return evaluate(factsOf(tool), input, context, noShell);
  }

  /** Kept, not thrown: a tool's exception is the model's to hear. */
  private fail(what: string): 'run' {
    this.broken ??= new Error(what);
    return 'run';
  }
}

export const callsOf = ({ msg }: ReplyReducer): ToolCallBlock[] =>
  msg.content.filter((block): block is ToolCallBlock => block.type === 'tool_call');

/** Whether the call has no result yet. */
export function isOpen(reply: ReplyReducer, { id }: ToolCallBlock): boolean {
  const result = reply.result(id);
  return result === undefined || result.state === 'running';
}
