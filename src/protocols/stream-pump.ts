import type { ServerResponse } from 'node:http';

export interface PumpOptions {
  readonly heartbeat: () => Uint8Array;
  readonly heartbeat_ms: number;
  /** Aborts when the client is gone or the process goes. */
  readonly signal: AbortSignal;
}

/**
 * Writes chunks to a raw response as they come, waits while the client does not read, and says a heartbeat when it has been quiet.
 * Ends when the chunks end or the signal aborts; the response itself is left open to the caller.
 */
export async function pump(
  chunks: AsyncIterable<Uint8Array>,
  response: ServerResponse,
  options: PumpOptions,
): Promise<void> {
  let written = performance.now();
  const timer = setInterval(() => {
    if (response.writableNeedDrain || performance.now() - written < options.heartbeat_ms / 2) return;
    response.write(options.heartbeat());
  }, options.heartbeat_ms);
  try {
    for await (const chunk of chunks) {
      written = performance.now();
      if (!response.write(chunk) && !(await drained(response, options.signal))) return;
    }
  } finally {
    clearInterval(timer);
  }
}

/** True when the client reads again, false when it never will. */
function drained(response: ServerResponse, signal: AbortSignal): Promise<boolean> {
  if (response.destroyed || signal.aborted) return Promise.resolve(false);
  return new Promise((resolve) => {
    const end = (open: boolean) => {
      response.off('drain', onDrain);
      response.off('close', onEnd);
      signal.removeEventListener('abort', onEnd);
      resolve(open);
    };
    const onDrain = () => end(true);
    const onEnd = () => end(false);
    response.once('drain', onDrain);
    response.once('close', onEnd);
    signal.addEventListener('abort', onEnd, { once: true });
  });
}
