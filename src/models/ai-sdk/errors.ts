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
import { type FailedAnswer, readFacts } from './error-facts.js';

const MAX_MESSAGE = 1000;

/** By what names the providers call the classes of failure, in lower case. */
const CODES = {
  authentication: [
    'authentication_error',
    'invalid_authentication_error',
    'invalid_api_key',
    'incorrect_api_key',
    'api_key_invalid',
    'invalidapikey',
    'unauthenticated',
    'unrecognizedclientexception',
    'invalidsignatureexception',
    'incompletesignatureexception',
    'signaturedoesnotmatch',
    'expiredtokenexception',
    'missingauthenticationtokenexception',
  ],
  permission: ['permission_error', 'permission_denied', 'permission_denied_error', 'accessdeniedexception'],
  rate_limit: [
    'rate_limit_error',
    'rate_limit_exceeded',
    'rate_limit_reached_error',
    'resource_exhausted',
    'throttlingexception',
    'insufficient_quota',
    'exceeded_current_quota_error',
  ],
  upstream: [
    'overloaded_error',
    'api_error',
    'server_error',
    'internal_error',
    'internal',
    'unavailable',
    'deadline_exceeded',
    'engine_overloaded_error',
    'timeout_error',
    'internalserverexception',
    'serviceunavailableexception',
    'modelstreamerrorexception',
    'modelerrorexception',
  ],
  invalid_request: [
    'invalid_request_error',
    'invalid_argument',
    'not_found_error',
    'request_too_large',
    'validationexception',
  ],
} satisfies Partial<Record<ErrorType, readonly string[]>>;

/** A quota that is used up does not come back within the time of a retry. */
const EXHAUSTED = [
  'insufficient_quota',
  'exceeded_current_quota_error',
  'billing_hard_limit_reached',
  'billing_not_active',
];

/** How providers say that a conversation is too long; few have a code for it. */
const OVERFLOW =
  /context[ _](length|window|size|limit)|(prompt|input) is too long|input token count|maximum prompt length|model token limit|range of input length/i;

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
  const answer = answerOf(error);
  const message = messageOf(error);
  if (answer !== undefined) {
    const failure = fromAnswer(answer, message, now);
    if (failure !== undefined) return failure;
  }
  const network = findNetworkError(error);
  if (network !== undefined) {
    // An address that may not be reached stays so.
    const refused = network.code === 'egress_refused' && { retryable: false };
    return new ModelError('connection', message, { cause: network, ...refused });
  }
  return new ModelError(classWithoutStatus(error), message);
}

/** The error for an answer over HTTP, or for an error frame within a stream; undefined when it tells no failure. */
export function fromAnswer(answer: FailedAnswer, message: string, now = Date.now()): ModelError | undefined {
  const { status, codes, retry_after_ms, should_retry } = readFacts(answer, now);
  const failed = status !== undefined && status >= 400;
  const type = classOfCodes(codes, failed ? status : undefined) ?? (failed ? classOf(status) : undefined);
  if (type === undefined) return undefined;
  const exhausted = type === 'rate_limit' && EXHAUSTED.some((code) => codes.has(code));
  const retryable = exhausted ? false : should_retry;
  const said = `${failed ? `HTTP ${status}: ` : ''}${message}`.slice(0, MAX_MESSAGE);
  const overflow = type === 'invalid_request' && (codes.has('context_length_exceeded') || OVERFLOW.test(message));
  return new ModelError(type, said, {
    retry_after_ms,
    ...(retryable !== undefined && { retryable }),
    ...(overflow && { overflow }),
  });
}

function classOf(status: number): ErrorType {
  if (status === 401) return 'authentication';
  if (status === 403) return 'permission';
  if (status === 408 || status === 499) return 'connection';
  if (status === 429) return 'rate_limit';
  return status < 500 ? 'invalid_request' : 'upstream';
}

/**
 * What a provider calls its failure. Some say a wrong key with 400 or 403, so the names of `authentication` stand above any status; the
 * others count where there is none.
 */
function classOfCodes(codes: ReadonlySet<string>, status: number | undefined): ErrorType | undefined {
  const has = (type: keyof typeof CODES): boolean => CODES[type].some((code) => codes.has(code));
  if ((status === undefined || status < 500) && has('authentication')) return 'authentication';
  if (status === 424 && has('upstream')) return 'upstream';
  if (status !== undefined) return undefined;
  return (['permission', 'rate_limit', 'upstream', 'invalid_request'] as const).find(has);
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
  if (isUnreadable(error) || EmptyResponseBodyError.isInstance(error)) return 'upstream';
  if (APICallError.isInstance(error)) return error.statusCode === undefined ? 'connection' : 'upstream';
  return 'unknown';
}

/** The answer an error tells of. An error frame inside a stream is a plain object that may carry the status it stands for. */
function answerOf(error: unknown): FailedAnswer | undefined {
  if (APICallError.isInstance(error)) {
    const { statusCode: status, responseHeaders: headers, responseBody, data } = error;
    return { status, headers, body: responseBody ?? data };
  }
  if (typeof error !== 'object' || error === null || error instanceof Error) return undefined;
  const status = 'statusCode' in error && typeof error.statusCode === 'number' ? error.statusCode : undefined;
  return { status, body: error };
}

/** These say what they could not read, which is what the model said. */
function isUnreadable(error: unknown): boolean {
  return (
    JSONParseError.isInstance(error) ||
    TypeValidationError.isInstance(error) ||
    InvalidResponseDataError.isInstance(error)
  );
}

function messageOf(error: unknown): string {
  if (isUnreadable(error)) return 'The provider answered in a form that is not known.';
  const given = typeof error === 'object' && error !== null && 'message' in error ? error.message : error;
  return (typeof given === 'string' && given !== '' ? given : 'The provider gave no reason.').slice(0, MAX_MESSAGE);
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
