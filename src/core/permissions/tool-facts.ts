/**
 * What a tool's calls touch, and in which fields of the input that stands. It, never the tool's name, chooses how calls are judged.
 * - `generic`: anything; rules speak of the whole tool only.
 * - `session_state`: nothing but the session's own planning state; harmless in every mode.
 * - `shell`: the field `command` is a Bash script.
 * - `file_read`: the field `path` is what is read or searched (absent: the first working directory); `pattern` a glob below it.
 * - `file_edit`: the field `path` is the file that is written.
 */
export type PermissionTarget =
  | { readonly kind: 'generic' }
  | { readonly kind: 'session_state' }
  | { readonly kind: 'shell'; readonly command: string }
  | { readonly kind: 'file_read'; readonly path: string; readonly pattern?: string }
  | { readonly kind: 'file_edit'; readonly path: string };

/** What the engine knows of a tool. */
export interface ToolFacts {
  readonly name: string;
  readonly is_read_only: boolean;
  /** Starts agents, schedules or other work that goes on beyond the call: it is never harmless, whatever else it says. */
  readonly starts_work: boolean;
  readonly permission: PermissionTarget;
}
