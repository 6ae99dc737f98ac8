import { ModelError } from '../../core/models/chat-model.js';
import { fromAnswer, toThrowable } from '../../models/ai-sdk/errors.js';
import type { ProviderAccess } from './credential-type.js';

const LIMIT_MS = 15_000;
/** Of a failed answer; what is longer is no error of an API. */
const MAX_BODY = 64 * 1024;

export interface VerifyRequest {
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * One GET that a provider answers only to a credential it takes. Resolves when it answers with JSON, and throws a `ModelError` of the class
 * that a chat call would end with, or the signal's reason. Takes at most 15 s and follows no redirect, since the headers hold the key.
 */
export async function verifyByGet(
  { fetch }: ProviderAccess,
  { url, headers }: VerifyRequest,
  signal: AbortSignal,
  limit_ms = LIMIT_MS,
): Promise<void> {
  signal.throwIfAborted();
  const limited = AbortSignal.any([signal, AbortSignal.timeout(limit_ms)]);
  try {
    const init = { headers: { accept: 'application/json', ...headers }, signal: limited, redirect: 'manual' } as const;
    const response = await fetch(url, init);
    if (response.ok) return await acceptJson(response);
    throw await failureOf(response);
  } catch (error) {
    throw toThrowable(error, signal);
  }
}

/** A key in the way that OpenAI and those who follow it take it. */
export function bearer(api_key: string | null | undefined): Record<string, string> {
  return api_key ? { authorization: `Bearer ${api_key}` } : {};
}

/** The address of a resource under a base URL, which may end with a slash. */
export function under(base_url: string, path: string): string {
  return `${base_url.replace(/\/+$/, '')}/${path}`;
}

/** A page that a web server gives to anybody says nothing about a credential. The list itself is of no interest. */
async function acceptJson(response: Response): Promise<void> {
  await response.body?.cancel();
  const type = response.headers.get('content-type') ?? '';
  if (!/json/i.test(type)) throw new ModelError('upstream', `The answer is not JSON but "${type.slice(0, 100)}".`);
}

async function failureOf(response: Response): Promise<ModelError> {
  const { status } = response;
  const body = await readText(response);
  if (status < 400) return new ModelError('invalid_request', `HTTP ${status}: the address leads elsewhere.`);
  const answer = { status, headers: Object.fromEntries(response.headers), body };
  const message = body === '' ? response.statusText || 'no reason given' : body;
  return fromAnswer(answer, message) ?? new ModelError('upstream', message);
}

async function readText(response: Response): Promise<string> {
  if (response.body === null) return '';
  const decoder = new TextDecoder();
  let text = '';
  let size = 0;
  for await (const chunk of response.body as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > MAX_BODY) return '';
    text += decoder.decode(chunk, { stream: true });
  }
  return text + decoder.decode();
}
