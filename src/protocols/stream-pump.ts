import type { ServerResponse } from 'node:http';
import type { Followed } from '../events/follow.js';
import type { StreamEncoder } from './protocol.js';

export interface PumpOptions {
  readonly heartbeat_ms: number;
  /** Aborts when the client is gone or the process goes. */
  readonly signal: AbortSignal;
}

/**
 * Writes what a follower sees to a raw response as it comes, in the words of the encoder; waits while the client does not read, and says a
 * heartbeat when it has been quiet. Ends with the session or when the signal aborts; the response itself is left open to the caller.
 */
export async function pump(
  followed: AsyncIterable<Followed>,
  encoder: StreamEncoder,
  response: ServerResponse,
  options: PumpOptions,
): Promise<void> {
  let written = performance.now();
  const timer = setInterval(() => {
    if (response.writableNeedDrain || performance.now() - written < options.heartbeat_ms / 2) return;
    response.write(encoder.heartbeat());
  }, options.heartbeat_ms);
  try {
    for await (const item of followed) {
      written = performance.now();
      if (!response.write(encode(encoder, item)) && !(await drained(response, options.signal))) return;
    }
  } finally {
    clearInterval(timer);
  }
}

function encode(encoder: StreamEncoder, item: Followed): Uint8Array {
  switch (item.type) {
    case 'batch':
      return encoder.batch(item.batch);
    case 'gap':
      return encoder.gap(item.up_to);
    case 'end':
      return encoder.end();
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
