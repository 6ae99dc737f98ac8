import type { AgentEvent } from '../events/agent-event.js';
import { approvalOf, withApproval } from '../events/approval-note.js';
import type { PermissionRule, ToolCallBlock } from '../messages/block.js';
import { storable, storableJson } from '../messages/storable.js';
import { judgeCalls, type Judged, type Verdict } from './judging.js';
import type { ReplyContext } from './reply-context.js';
import { executeCalls } from './tool-execution.js';
import { CallRun } from './tool-run.js';
import type { Tool } from './tool.js';

type Ask = Extract<Verdict, { kind: 'ask' }>;

interface Plan {
  readonly runs: CallRun[];
  readonly asks: ToolCallBlock[];
  readonly handOuts: ToolCallBlock[];
}

/**
 * Acts on the calls that have no result yet: runs what may run, refuses what may not, and asks for the rest. When calls are left
 * unresolved after it, each of them waits for somebody outside, or for such a one before it.
 */
export async function* act(ctx: ReplyContext): AsyncGenerator<AgentEvent, void, void> {
  const calls = ctx.unresolvedCalls();
  if (calls.length === 0) return;
  ctx.throwIfLeaving();
  const { runs, asks, handOuts } = planOf(ctx, await judgeCalls(ctx, calls));
  yield* executeCalls(ctx, runs);
  ctx.throwIfAborted();
  if (asks.length + handOuts.length > 0) ctx.resting = true;
  if (asks.length > 0) yield ctx.emit({ type: 'REQUIRE_USER_CONFIRM', tool_calls: asks });
  if (handOuts.length > 0) yield ctx.emit({ type: 'REQUIRE_EXTERNAL_EXECUTION', tool_calls: handOuts });
}

/** A call that may disturb others does not overtake one that somebody is asked about, unless it was itself allowed by an answer. */
function planOf(ctx: ReplyContext, judged: readonly Judged[]): Plan {
  const plan: Plan = { runs: [], asks: [], handOuts: [] };
  let isAsking = false;
  const mayGo = (call: ToolCallBlock, tool: Tool) => !isAsking || tool.is_concurrency_safe || call.state === 'allowed';
  for (const { call, verdict } of judged) {
    switch (verdict.kind) {
      case 'refuse':
        plan.runs.push(new CallRun(ctx, call, verdict));
        break;
      case 'wait':
        isAsking ||= verdict.for === 'answer';
        break;
      case 'ask':
        if (!verdict.covered) plan.asks.push(asked(ctx, call, verdict));
        isAsking = true;
        break;
      case 'hand_out':
        if (mayGo(call, verdict.tool))
          plan.handOuts.push({ ...structuredClone(call), input: verdict.mended ?? call.input });
        break;
      case 'run':
        if (mayGo(call, verdict.tool)) plan.runs.push(new CallRun(ctx, call, verdict));
        break;
    }
  }
  return plan;
}

function asked(ctx: ReplyContext, call: ToolCallBlock, { decision, mended }: Ask): ToolCallBlock {
  // A call that is asked about again, after a crash, keeps its approval.
  const id = approvalOf(call)?.id || ctx.request.newId();
  return {
    ...structuredClone(call),
    suggested_rules: storableJson(decision.suggested_rules) as PermissionRule[],
    metadata: withApproval(call.metadata, {
      id,
      message: storable(decision.message),
      ...(mended !== null && { input: mended }),
    }),
  };
}
