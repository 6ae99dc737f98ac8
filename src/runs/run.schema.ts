import { z } from 'zod';
import { isCheckable } from '../core/agent/schema-check.js';
import { DataBlock, PermissionRule, TextBlock } from '../core/messages/block.js';
import { MAX_CONFIRMED_RULES } from '../core/permissions/confirmation.js';
import { ErrorInfo, InputMsg, Msg, Usage } from '../core/messages/message.js';
import { ListQuery, listOf } from '../platform/http/wire.js';
import { SessionStatus } from '../sessions/session.schema.js';

const MAX_MESSAGES = 100;
const MAX_RESULTS = 256;
const MAX_TEXT = 4_000_000;
const MAX_COALESCE_MS = 60_000;
export const MAX_COMMENT = 4000;
const MAX_SCHEMA_CHARS = 65_536;

const ExternalResult = z.object({
  id: z.string().min(1).max(256).describe('The id of the tool call'),
  name: z.string().min(1).max(256).optional(),
  output: z
    .union([z.string().max(MAX_TEXT), z.array(z.discriminatedUnion('type', [TextBlock, DataBlock])).max(256)])
    .describe('Text, or blocks'),
  state: z.enum(['success', 'error']).default('success'),
});

/** The results of external tools that a parked run waits for. Some of the open calls may be answered, the rest later. */
export const ExternalExecutionInput = z
  .object({
    type: z.literal('EXTERNAL_EXECUTION_RESULT'),
    reply_id: z.string().min(1).max(256),
    execution_results: z.array(ExternalResult).min(1).max(MAX_RESULTS),
  })
  .meta({ id: 'ExternalExecutionInput' });
export type ExternalExecutionInput = z.infer<typeof ExternalExecutionInput>;

export const EditedInput = z
  .union([z.record(z.string(), z.unknown()), z.string().max(MAX_TEXT)])
  .describe('The input of a call: JSON text, or the object it says');

/** What a user says about calls that wait for a confirmation. Some of them may be answered, the rest later. */
export const UserConfirmInput = z
  .object({
    type: z.literal('USER_CONFIRM_RESULT'),
    reply_id: z.string().min(1).max(256),
    confirm_results: z
      .array(
        z.object({
          confirmed: z.boolean(),
          tool_call: z
            .looseObject({
              id: z.string().min(1).max(256),
              name: z.string().min(1).max(256).optional().describe('Must be the tool that was asked about'),
              input: EditedInput.optional().describe('Runs in place of what was asked about when it differs'),
            })
            .describe('The call as it came with REQUIRE_USER_CONFIRM, or what of it is to be said'),
          rules: z
            .array(PermissionRule)
            .max(MAX_CONFIRMED_RULES)
            .nullable()
            .default(null)
            .describe('Rules for calls to come of the same tool; they may only allow'),
          comment: z.string().max(MAX_COMMENT).optional().describe('The model reads it with a rejection'),
        }),
      )
      .min(1)
      .max(MAX_RESULTS),
  })
  .meta({ id: 'UserConfirmInput' });
export type UserConfirmInput = z.infer<typeof UserConfirmInput>;

const StructuredSchema = z.record(z.string(), z.unknown()).refine(isObjectSchema, {
  message: `must be a JSON Schema of type "object" that can be compiled, of at most ${MAX_SCHEMA_CHARS} characters`,
});

function isObjectSchema(schema: Record<string, unknown>): boolean {
  if (schema['type'] !== 'object') return false;
  try {
    return JSON.stringify(schema).length <= MAX_SCHEMA_CHARS && isCheckable(schema);
  } catch {
    // Nested so deep that it cannot be written down.
    return false;
  }
}

export const OnPending = z.enum(['wait', 'reject']);
export const OnBusy = z.enum(['enqueue', 'reject', 'interrupt', 'rollback']);
export const OnDisconnect = z.enum(['detach', 'interrupt']);

export const ChatRequest = z
  .object({
    session_id: z.string().min(1).max(256).describe("The session's id, or your own name for it"),
    agent_id: z.string().max(256).optional().describe('Checked against the session when given'),
    input: z
      .union([InputMsg, z.array(InputMsg).min(1).max(MAX_MESSAGES), UserConfirmInput, ExternalExecutionInput])
      .nullable()
      .describe(
        'What the user says, or the confirmations or results a parked run waits for; null lets the agent go on with the conversation as it stands',
      ),
    on_busy: OnBusy.default('enqueue').describe(
      'What becomes of the input when the session is not idle: it waits its turn, is refused, or stops what is at work or parked and cancels what is queued; `rollback` also removes the stopped reply',
    ),
    on_pending: OnPending.default('wait').describe(
      'What becomes of a message when the session is parked: it waits as on_busy says, or the open calls are turned down and the same reply goes on with it',
    ),
    structured_schema: StructuredSchema.optional().describe(
      'What the reply is to end with, as JSON Schema of an object; messages that join a turn leave that of the first one',
    ),
    coalesce_ms: z
      .int()
      .min(0)
      .max(MAX_COALESCE_MS)
      .default(0)
      .describe('Messages that arrive within this time become one turn'),
    on_disconnect: OnDisconnect.default('detach').describe(
      'With wait=true: whether the run stops when the client goes before its end',
    ),
  })
  .meta({ id: 'ChatRequest' });
export type ChatRequest = z.infer<typeof ChatRequest>;

export const ChatQuery = z.object({
  wait: z.stringbool().default(false).describe('Answer with the end of the run, or 202 when time is up'),
  timeout_ms: z.coerce
    .number()
    .int()
    .min(1)
    .optional()
    .describe('How long to wait; the service sets a bound (AERIE_WAIT_SECONDS)'),
});
export type ChatQuery = z.infer<typeof ChatQuery>;

export const RunStatusSchema = z
  .enum(['queued', 'running', 'waiting', 'completed', 'failed', 'interrupted', 'cancelled'])
  .meta({ id: 'RunStatus' });

export const Blocking = z
  .object({
    run_id: z.uuid(),
    status: RunStatusSchema,
    tool_call_ids: z.array(z.string()).describe('The calls a parked run waits for'),
    approval_ids: z.array(z.uuid()).describe('What is asked about them: GET /approvals/{id}'),
  })
  .meta({ id: 'BlockingRun' });

export const ChatAccepted = z
  .object({
    status: z
      .enum(['started', 'queued', 'resumed'])
      .describe(
        'queued: earlier input of the session comes first, it is parked, or no worker was free. resumed: the parked run goes on',
      ),
    session_id: z.uuid(),
    run_id: z.uuid(),
    blocked_by: Blocking.optional().describe('The session is parked: the input waits until this run is answered'),
    stopped_run_id: z.uuid().optional().describe('The run that was stopped for this input'),
  })
  .meta({
    id: 'ChatAccepted',
    description: 'The run is on record and will reach an end; its events come on the stream of the session',
  });
export type ChatAccepted = z.infer<typeof ChatAccepted>;

export const ChatResult = z
  .object({
    status: RunStatusSchema,
    session_id: z.uuid(),
    run_id: z.uuid(),
    message: Msg.nullable().describe('The reply as it stands; null when it has none (yet)'),
  })
  .meta({ id: 'ChatResult', description: 'With wait=true: how the run ended, or how it stands when time is up (202)' });
export type ChatResult = z.infer<typeof ChatResult>;

export const Interrupted = z
  .object({ session_id: z.uuid(), run_id: z.uuid().nullable(), was_running: z.boolean() })
  .meta({ id: 'Interrupted' });
export type Interrupted = z.infer<typeof Interrupted>;

export const Cancelled = z
  .object({ session_id: z.uuid(), run_id: z.uuid(), status: RunStatusSchema, was_running: z.boolean() })
  .meta({
    id: 'Cancelled',
    description:
      '`status`: running or waiting for a run that will end as interrupted, cancelled for one that was queued, else how it had ended',
  });
export type Cancelled = z.infer<typeof Cancelled>;

export const StopRequestBody = z
  .object({
    user_id: z.string().min(1).max(256),
    session_id: z.string().min(1).max(256),
    input: z.unknown().optional().describe('Ignored; clients of the original send it'),
  })
  .meta({ id: 'StopRequest' });
export type StopRequestBody = z.infer<typeof StopRequestBody>;

export const Stopped = z.object({ status: z.literal('success'), message: z.string() }).meta({ id: 'Stopped' });
export type Stopped = z.infer<typeof Stopped>;

export const RunView = z
  .object({
    id: z.uuid(),
    session_id: z.uuid(),
    agent_id: z.uuid(),
    reply_id: z.uuid(),
    status: RunStatusSchema,
    attempt: z.int().describe('Holders it had: 1 unless one crashed'),
    accepted_at: z.iso.datetime(),
    started_at: z.iso.datetime().nullable(),
    finished_at: z.iso.datetime().nullable(),
    queued_ms: z.int().nullable().describe('From acceptance to start'),
    work_ms: z.int().describe('Time at work, waiting for answers not counted'),
    usage: Usage.nullable(),
    error: ErrorInfo.nullable(),
    stop: z
      .object({ requested_at: z.iso.datetime(), requested_by: z.string(), mode: z.enum(['interrupt', 'rollback']) })
      .nullable(),
    open_calls: z.array(
      z.object({ tool_call_id: z.string(), name: z.string(), kind: z.enum(['external', 'confirm']) }),
    ),
  })
  .meta({ id: 'Run' });
export type RunView = z.infer<typeof RunView>;

export const RunList = listOf('runs', RunView).meta({ id: 'RunList' });
export const RunListQuery = z.object({ ...ListQuery.shape, status: RunStatusSchema.optional() });
export type RunListQuery = z.infer<typeof RunListQuery>;

export const RunExplained = z
  .object({
    run: RunView,
    timeline: z
      .array(z.looseObject({ at: z.iso.datetime(), event: z.string() }))
      .describe('What happened to the run, oldest first'),
  })
  .meta({ id: 'RunExplained' });
export type RunExplained = z.infer<typeof RunExplained>;

export const TaskState = z.enum(['IDLE', 'RUNNING', 'STOPPED', 'FINISHED', 'ERROR']).meta({ id: 'TaskState' });
export type TaskState = z.infer<typeof TaskState>;

export const SessionStatusView = z
  .object({
    session_id: z.uuid(),
    status: SessionStatus,
    task_state: TaskState.describe('The same in the words of AgentApp: how the newest run stands or ended'),
    run_id: z.uuid().nullable().describe('The run at work or parked, else the newest one'),
  })
  .meta({ id: 'SessionStatusView' });
export type SessionStatusView = z.infer<typeof SessionStatusView>;
