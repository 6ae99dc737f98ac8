/** What can be read off a failed answer of a provider, whatever shape it has. */
export interface ErrorFacts {
  readonly status: number | undefined;
  /** Names that the provider gives the failure, in lower case: codes, types, statuses, reasons. */
  readonly codes: ReadonlySet<string>;
  /** Milliseconds after which the provider says to come again. */
  readonly retry_after_ms: number | undefined;
  /** Whether the provider says that the same call may succeed later. */
  readonly should_retry: boolean | undefined;
}

export interface FailedAnswer {
  readonly status?: number | undefined;
  /** By lower-case name. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  /** Text or parsed JSON. */
  readonly body?: unknown;
}

/** Error bodies are small; a larger one is a page of something else. */
const MAX_BODY = 64 * 1024;
const MAX_DEPTH = 4;
const NAMING = new Set(['code', 'type', 'status', 'reason', '__type']);
const NESTING = new Set(['error', 'details', 'response', 'data', 'errors']);

export function readFacts({ status, headers = {}, body }: FailedAnswer, now: number): ErrorFacts {
  const codes = new Set<string>();
  const delays: number[] = [];
  collect(parse(body), 0, codes, delays);
  // `UnrecognizedClientException:http://…` with Amazon
  const amazon = headers['x-amzn-errortype']?.split(':', 1)[0];
  if (amazon) codes.add(amazon.toLowerCase());
  const wish = headers['x-should-retry'];
  return {
    status,
    codes,
    retry_after_ms: retryAfter(headers, now) ?? delays[0],
    should_retry: wish === 'true' ? true : wish === 'false' ? false : undefined,
  };
}

function parse(body: unknown): unknown {
  if (typeof body !== 'string') return body;
  if (body.length > MAX_BODY) return undefined;
  try {
    return JSON.parse(body);
  } catch {
    // Proxies answer in HTML; the status has to do then.
    return undefined;
  }
}

function collect(value: unknown, depth: number, codes: Set<string>, delays: number[]): void {
  if (typeof value !== 'object' || value === null || depth > MAX_DEPTH) return;
  if (Array.isArray(value)) {
    for (const item of value) collect(item, depth + 1, codes, delays);
    return;
  }
  for (const [key, field] of Object.entries(value)) {
    if (NAMING.has(key) && typeof field === 'string') codes.add(field.toLowerCase());
    // google.rpc.RetryInfo: `{"retryDelay": "17s"}`
    else if (key === 'retryDelay' && typeof field === 'string') {
      const seconds = /^(\d+(?:\.\d+)?)s$/.exec(field)?.[1];
      if (seconds !== undefined) delays.push(Math.round(Number(seconds) * 1000));
    } else if (NESTING.has(key)) collect(field, depth + 1, codes, delays);
  }
}

/** `retry-after-ms` in milliseconds, or `retry-after` in seconds or as an HTTP date. */
function retryAfter(headers: Readonly<Record<string, string>>, now: number): number | undefined {
  const exact = Number.parseFloat(headers['retry-after-ms'] ?? '');
  if (exact >= 0) return Math.round(exact);
  const value = headers['retry-after']?.trim() ?? '';
  if (/^\d+(\.\d+)?$/.test(value)) return Math.round(Number(value) * 1000);
  const date = /^[A-Z][a-z]+,? /.test(value) ? Date.parse(value) : Number.NaN;
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
