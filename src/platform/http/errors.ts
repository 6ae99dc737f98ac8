/** Every error code of the native API with its HTTP status. Codes are stable: clients switch on them. */
export const ERROR_STATUS = {
  validation_failed: 400,
  invalid_json: 400,
  model_not_configured: 400,
  empty_input: 400,
  credential_not_verifiable: 400,
  confirmation_refused: 400,
  bad_request: 400,
  unauthenticated: 401,
  forbidden: 403,
  credential_not_editable: 403,
  host_not_allowed: 403,
  origin_not_allowed: 403,
  not_found: 404,
  agent_not_found: 404,
  credential_not_found: 404,
  session_not_found: 404,
  provider_not_found: 404,
  model_not_found: 404,
  run_not_found: 404,
  approval_not_found: 404,
  method_not_allowed: 405,
  not_acceptable: 406,
  conflict: 409,
  session_exists: 409,
  message_exists: 409,
  session_busy: 409,
  session_parked: 409,
  not_awaited: 409,
  approval_decided: 409,
  approval_closed: 409,
  credential_in_use: 409,
  payload_too_large: 413,
  uri_too_long: 414,
  unsupported_media_type: 415,
  too_many_pending_inputs: 429,
  too_many_streams: 429,
  too_many_verifications: 429,
  internal_error: 500,
  credential_unreadable: 500,
  unavailable: 503,
} as const;
export type ErrorCode = keyof typeof ERROR_STATUS;

/** A fault of a request: `path` points into the body, or names the query parameter, header or path parameter. */
export interface Fault {
  path: string;
  message: string;
}

/** An error meant for the client. Its message and details are shown as they are, so they never hold another tenant's data or internals. */
export class AerieError extends Error {
  override readonly name = 'AerieError';
  constructor(
    readonly code: ErrorCode,
    message: string,
    readonly details?: Record<string, unknown> | Fault[],
    readonly options: { cause?: unknown; headers?: Record<string, string> } = {},
  ) {
    super(message, { cause: options.cause });
  }

  get status(): number {
    return ERROR_STATUS[this.code];
  }
}

export function notFound(
  kind: 'agent' | 'credential' | 'session' | 'provider' | 'model' | 'run' | 'approval',
  id: string,
): AerieError {
  return new AerieError(`${kind}_not_found`, `There is no ${kind} "${id.slice(0, 256)}".`);
}

export function invalid(path: string, message: string): AerieError {
  return new AerieError('validation_failed', 'The request is not valid.', [{ path, message }]);
}
