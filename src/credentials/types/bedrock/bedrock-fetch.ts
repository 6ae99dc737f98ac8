import { ModelError } from '../../../core/models/chat-model.js';

type Fetch = typeof globalThis.fetch;

const LENGTH_BYTES = 4;
/** The protocol allows no longer message. */
const MAX_FRAME = 24 * 1024 * 1024;

/**
 * The provider package copies what it has of a frame with every piece that comes, so a long frame in small pieces would cost the square of
 * its length. Here frames are passed on whole.
 */
export function bedrockFetch(fetch: Fetch): Fetch {
  return async (input, init) => {
    const response = await fetch(input, init);
    const streams = response.headers.get('content-type')?.includes('vnd.amazon.eventstream') === true;
    if (!response.ok || response.body === null || !streams) return response;
    const { status, statusText, headers } = response;
    return new Response(inFrames(response.body), { status, statusText, headers });
  };
}

function inFrames(body: ReadableStream<Uint8Array>): ReadableStream<Uint8Array> {
  const reader = body.getReader();
  const frames = new Frames();
  return new ReadableStream(
    {
      async pull(controller) {
        for (;;) {
          const { done, value } = await reader.read();
          const whole = done ? frames.rest() : frames.push(value);
          if (whole.length > 0) controller.enqueue(whole);
          if (done) return controller.close();
          if (whole.length > 0) return;
        }
      },
      // The package cancels without looking at the outcome; a rejection would be nobody's, and end the process.
      cancel: (reason) => reader.cancel(reason).catch(() => undefined),
    },
    { highWaterMark: 0 },
  );
}

/** Frames begin with their length: four bytes, the highest first, that count themselves. */
class Frames {
  private pieces: Uint8Array[] = [];
  private held = 0;
  private needed = LENGTH_BYTES;

  /** The complete frames of what has come. */
  push(piece: Uint8Array): Uint8Array {
    this.pieces.push(piece);
    this.held += piece.length;
    if (this.held < this.needed) return new Uint8Array();
    const all = Buffer.concat(this.pieces, this.held);
    let end = 0;
    this.needed = LENGTH_BYTES;
    while (all.length - end >= LENGTH_BYTES) {
      // Less than its own length is no frame; the package says so when it gets there.
      const length = Math.max(all.readUInt32BE(end), LENGTH_BYTES);
      if (length > MAX_FRAME) throw new ModelError('upstream', 'The provider answered in a form that is not known.');
      if (all.length - end < length) {
        this.needed = length;
        break;
      }
      end += length;
    }
    const rest = all.subarray(end);
    this.pieces = rest.length > 0 ? [rest] : [];
    this.held = rest.length;
    return all.subarray(0, end);
  }

  /** What was left without its end, which the package reports. */
  rest(): Uint8Array {
    return Buffer.concat(this.pieces, this.held);
  }
}
