import type { OffloadStore } from '../context/offload-store.js';
import type { ToolSpec } from '../models/chat-model.js';
import type { PermissionTarget } from '../permissions/tool-facts.js';
import type { AgentState, SessionState } from '../state/session-state.js';

/** A piece of a tool's output while it runs; `text` pieces are joined, `data` pieces stand alone. */
export type ToolChunk =
  | { type: 'text'; text: string }
  | { type: 'data'; media_type: string; data: string }
  | { type: 'url'; media_type: string; url: string };

export interface ToolContext {
  readonly tool_call_id: string;
  /** Aborts when the reply is stopped and when the call's time is up. */
  readonly signal: AbortSignal;
  /** What the session remembers; a tool that changes it says `is_state_injected`. */
  readonly state: AgentState;
  /** Where the session puts aside what its model has no room for; null when there is no such place. */
  readonly offload: OffloadStore | null;
}

/** A refusal or failure a tool wants the model to read; anything else that is thrown is reported to the model in general words. */
export class ToolError extends Error {
  override readonly name = 'ToolError';
}

/** The group of tools that are there unless somebody switched them off one by one. */
export const BASIC_GROUP = 'basic';

/** Tools that are switched on and off together by the agent itself. */
export interface ToolGroup {
  readonly name: string;
  readonly description: string;
  /** Whether it is on before the agent has said anything of it. */
  readonly active: boolean;
}

export interface ToolFlags extends ToolSpec {
  readonly is_read_only: boolean;
  /** May run beside other concurrency-safe calls of the same model turn. */
  readonly is_concurrency_safe: boolean;
  /** May be run again when the outcome of a call is unknown after a crash. */
  readonly is_idempotent: boolean;
  /** Reads and changes the state of the session, so it is never moved into the background. */
  readonly is_state_injected?: boolean;
  /** Starts agents, schedules or other work that goes on beyond the call: never harmless, whatever else it says. */
  readonly starts_work?: boolean;
  /** What calls touch, and in which fields of the input that stands; default `generic`. */
  readonly permission?: PermissionTarget;
  /** How long a call may take; default: that of the reply. */
  readonly timeout_ms?: number;
  /** Default `basic`. */
  readonly group?: string;
  /** Whether the model is told of it in this state of the session; default: always. */
  readonly isOffered?: (state: SessionState) => boolean;
}

/**
 * A tool that the service runs. `run` gets input that was parsed from JSON and validated against `input_schema`, streams its output, and
 * ends by returning (success) or throwing (error). It must end soon after `context.signal` aborts: what it says later is not heard.
 */
export interface ServiceTool extends ToolFlags {
  readonly is_external?: false;
  run(input: unknown, context: ToolContext): AsyncIterable<ToolChunk>;
}

/** A tool that somebody outside executes: the reply is parked until the result of its calls is given. */
export interface ExternalTool extends ToolFlags {
  readonly is_external: true;
}

export type Tool = ServiceTool | ExternalTool;
