import {
  APICallError,
  EmptyResponseBodyError,
  InvalidArgumentError,
  InvalidPromptError,
  InvalidResponseDataError,
  JSONParseError,
  LoadAPIKeyError,
  NoSuchModelError,
  TypeValidationError,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider';
import type { ErrorType } from '../../core/messages/message.js';
import { ModelError } from '../../core/models/chat-model.js';

const MAX_MESSAGE = 1000;

const NETWORK_CODE =
  /^(E(CONN|PIPE|TIMEDOUT|NOTFOUND|AI_AGAIN|HOSTUNREACH|NETUNREACH)|UND_ERR_|ERR_(TLS|SSL)_|CERT_|egress_refused$)/;
const NETWORK_MESSAGE = /fetch failed|terminated|socket hang up|other side closed|premature close/i;

/** What to throw for a failure of a model call: the signal's own reason after an abort, else a `ModelError` of the right class. */
export function toThrowable(error: unknown, signal: AbortSignal): unknown {
  if (signal.aborted) return signal.reason;
  return error instanceof ModelError ? error : toModelError(error);
}

/**
 * Provider errors carry the request, and with it what tenants said. Hence none of them is kept as `cause`, where a logger would write it
 * out; only the errors of the network below are.
 */
export function toModelError(error: unknown, now = Date.now()): ModelError {
  const status = statusOf(error);
  const message = messageOf(error, status);
  if (status !== undefined && status >= 400) {
    const headers = APICallError.isInstance(error) ? error.responseHeaders : undefined;
    return new ModelError(classOf(status), message, { retry_after_ms: retryAfter(headers, now) });
  }
  const network = findNetworkError(error);
  if (network !== undefined) {
    // An address that may not be reached stays so.
    const refused = network.code === 'egress_refused' && { retryable: false };
    return new ModelError('connection', message, { cause: network, ...refused });
  }
  return new ModelError(classWithoutStatus(error), message);
}

function classOf(status: number): ErrorType {
  if (status === 401) return 'authentication';
  if (status === 403) return 'permission';
  if (status === 408) return 'connection';
  if (status === 429) return 'rate_limit';
  return status < 500 ? 'invalid_request' : 'upstream';
}

function classWithoutStatus(error: unknown): ErrorType {
  if (LoadAPIKeyError.isInstance(error)) return 'authentication';
  if (
    UnsupportedFunctionalityError.isInstance(error) ||
    InvalidPromptError.isInstance(error) ||
    InvalidArgumentError.isInstance(error) ||
    NoSuchModelError.isInstance(error)
  ) {
    return 'invalid_request';
  }
  if (
    JSONParseError.isInstance(error) ||
    TypeValidationError.isInstance(error) ||
    InvalidResponseDataError.isInstance(error) ||
    EmptyResponseBodyError.isInstance(error)
  ) {
    return 'upstream';
  }
  if (APICallError.isInstance(error)) return error.statusCode === undefined ? 'connection' : 'upstream';
  return 'unknown';
}

/** An error frame inside a stream is a plain object that may carry the status it stands for. */
function statusOf(error: unknown): number | undefined {
  if (APICallError.isInstance(error)) return error.statusCode;
  const isFrame = typeof error === 'object' && error !== null && 'statusCode' in error;
  return isFrame && typeof error.statusCode === 'number' ? error.statusCode : undefined;
}

function messageOf(error: unknown, status: number | undefined): string {
  const given = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  const said = typeof given === 'string' ? given : 'The provider gave no reason.';
  return (status === undefined ? said : `HTTP ${status}: ${said}`).slice(0, MAX_MESSAGE);
}

/** By shape, not by class: errors of the network stack may come from another realm than this module. */
function findNetworkError(error: unknown): ErrorLike | undefined {
  const seen = new Set<unknown>();
  for (let at = error; isErrorLike(at) && !seen.has(at); at = at.cause) {
    seen.add(at);
    if (APICallError.isInstance(at)) continue;
    const timedOut = at.name === 'TimeoutError' || at.name === 'AbortError' || at.name === 'ResponseAborted';
    const broken = typeof at.code === 'string' && NETWORK_CODE.test(at.code);
    if (timedOut || broken || NETWORK_MESSAGE.test(at.message)) return at;
  }
  return undefined;
}

interface ErrorLike {
  name: unknown;
  message: string;
  code?: unknown;
  cause?: unknown;
}

function isErrorLike(value: unknown): value is ErrorLike {
  return (
    typeof value === 'object' &&
    value !== null &&
    'name' in value &&
    'message' in value &&
    typeof value.message === 'string'
  );
}

/** `retry-after-ms` in milliseconds, or `retry-after` in seconds or as an HTTP date. */
function retryAfter(headers: Record<string, string> | undefined, now: number): number | undefined {
  const exact = Number.parseFloat(headers?.['retry-after-ms'] ?? '');
  if (exact >= 0) return Math.round(exact);
  const value = headers?.['retry-after']?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(value)) return Math.round(Number(value) * 1000);
  const date = /^[A-Z][a-z]+,? /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
