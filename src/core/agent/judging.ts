import { reminder } from '../context/text.js';
import { approvalOf } from '../events/approval-note.js';
import type { ToolCallBlock } from '../messages/block.js';
import { type JudgedCall, coveredByEarlier } from '../permissions/batch.js';
import { evaluate } from '../permissions/evaluate.js';
import type { PermissionContext } from '../permissions/permission-context.js';
import type { PermissionDecision } from '../permissions/permission-decision.js';
import { onion } from './hooks.js';
import { looseJson } from './loose-json.js';
import type { ToolCallScope } from './middleware.js';
import type { ReplyContext } from './reply-context.js';
import type { ExternalTool, ServiceTool, Tool } from './tool.js';
import { STRUCTURED_OUTPUT_TOOL } from './structured-output.js';
import { factsOf } from './tool-facts-of.js';
import { parseToolInput } from './tool-input.js';

/**
 * What becomes of a call. `wait`: somebody outside was asked already. `ask`: somebody is to be asked; `mended` is the input that would run
 * or be handed out, where the model wrote it faultily, `covered` that the answer to an earlier call is to be waited for first.
 */
export type Verdict =
  | { readonly kind: 'run'; readonly tool: ServiceTool; readonly input: unknown }
  | { readonly kind: 'hand_out'; readonly tool: ExternalTool; readonly mended: string | null }
  | { readonly kind: 'refuse'; readonly state: 'error' | 'denied'; readonly text: string }
  | {
      readonly kind: 'ask';
      readonly decision: PermissionDecision;
      readonly mended: string | null;
      readonly covered: boolean;
    }
  | { readonly kind: 'wait'; readonly for: 'answer' | 'result' };

export interface Judged {
  readonly call: ToolCallBlock;
  readonly verdict: Verdict;
}

/** Decides on all open calls of a turn before any of them runs. */
export async function judgeCalls(ctx: ReplyContext, calls: readonly ToolCallBlock[]): Promise<Judged[]> {
  const judged: Judged[] = [];
  const asked: JudgedCall[] = [];
  for (const call of calls) {
    const verdict = await judge(ctx, call, asked);
    judged.push({ call, verdict });
  }
  if (asked.length < 2) return judged;
  const { permissions, shellParser } = ctx.request;
  const covered = coveredByEarlier(asked, permissions, shellParser);
  return judged.map(({ call, verdict }) => {
    const isCovered = verdict.kind === 'ask' && covered.has(call.id);
    return { call, verdict: isCovered ? { ...verdict, covered: true } : verdict };
  });
}

async function judge(ctx: ReplyContext, call: ToolCallBlock, asked: JudgedCall[]): Promise<Verdict> {
  if (call.state === 'asking') return { kind: 'wait', for: 'answer' };
  if (call.state === 'submitted') return { kind: 'wait', for: 'result' };
  if (call.state === 'finished') return { kind: 'refuse', state: 'denied', text: declined(call) };
  const { toolkit, request } = ctx;
  const tool = toolkit.get(call.name);
  if (tool === undefined) return refused(`There is no tool named "${call.name}".`);
  if (call.state === 'pending' && !toolkit.isActive(tool, request.state.value.tools_context)) {
    return refused(`The tool "${call.name}" belongs to the group "${tool.group}", which is off. Switch it on first.`);
  }
  const parsed = parseToolInput(tool, call.input, looseJson);
  if (!parsed.ok) return refused(parsed.message);
  const mended = parsed.repaired ? JSON.stringify(parsed.input) : null;
  const scope = { call, tool, input: parsed.input };
  const decision = await decide(ctx, scope);
  switch (decision.behavior) {
    case 'deny':
      return { kind: 'refuse', state: 'denied', text: reminder(`The call was not allowed. ${decision.message}`) };
    case 'ask':
      // Whoever allowed the call has answered this very question; so has who asked for an answer in this form.
      if (call.state === 'allowed' || isAnswer(ctx, tool)) break;
      asked.push({ id: call.id, facts: factsOf(tool), input: parsed.input, decision });
      return { kind: 'ask', decision, mended, covered: false };
    case 'allow':
      break;
  }
  return tool.is_external === true ? { kind: 'hand_out', tool, mended } : { kind: 'run', tool, input: parsed.input };
}

const isAnswer = ({ request }: ReplyContext, tool: Tool): boolean =>
  request.structured !== undefined && tool.name === STRUCTURED_OUTPUT_TOOL;

async function decide(ctx: ReplyContext, scope: Omit<ToolCallScope, 'reply'>): Promise<PermissionDecision> {
  const { permissions, shellParser } = ctx.request;
  const context = scope.call.state === 'allowed' ? withQuestions(permissions) : permissions;
  const core = () => evaluate(factsOf(scope.tool), scope.input, context, shellParser);
  const hooks = ctx.hooks.having('onCheckPermission');
  if (hooks.length === 0) return core();
  const whole: ToolCallScope = { ...scope, reply: ctx.hooks.scope };
  const check = onion(
    hooks,
    async () => core(),
    async (hook, next) => hook(whole, next),
  );
  return ctx.race(check, true);
}

/** A call that somebody allowed was asked about, so a session that does not ask cannot deny it for that. */
const withQuestions = (context: PermissionContext): PermissionContext =>
  context.mode === 'dont_ask' ? { ...context, mode: 'default' } : context;

const refused = (text: string): Verdict => ({ kind: 'refuse', state: 'error', text });

function declined(call: ToolCallBlock): string {
  const note = approvalOf(call);
  switch (note?.cause) {
    case 'expired':
      return reminder('Nobody answered in time whether this tool call may run, so it was not run.');
    case 'message':
      return reminder('The user said something else instead of allowing this tool call, so it was not run.');
    default:
      return reminder(
        note?.comment === undefined
          ? 'The user declined this tool call.'
          : `The user declined this tool call and said: ${note.comment}`,
      );
  }
}
