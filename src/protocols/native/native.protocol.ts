import type { EventBatch } from '../../events/event-log.js';
import { frame } from '../../events/frames.js';
import type { StreamEncoder, StreamProtocol } from '../protocol.js';

const RETRY_MS = 1000;
const HEARTBEAT = Buffer.from(':\n\n');
const GOODBYE = Buffer.from(`retry: ${RETRY_MS}\n\n`);

/** The session log as it is: every batch leaves as the bytes its producer wrote. */
class NativeEncoder implements StreamEncoder {
  private seq = 0;

  batch(batch: EventBatch): Uint8Array {
    this.seq = batch.last;
    return batch.frames;
  }

  gap(upTo: number): Uint8Array {
    this.seq = upTo;
    return custom(upTo, 'gap', { up_to_seq: upTo });
  }

  end(): Uint8Array {
    return custom(this.seq, 'session_deleted', {});
  }

  heartbeat(): Uint8Array {
    return HEARTBEAT;
  }

  goodbye(): Uint8Array {
    return GOODBYE;
  }
}

function custom(seq: number, name: string, value: Record<string, unknown>): Buffer {
  const event = { type: 'CUSTOM', id: `${name}:${seq}`, created_at: new Date().toISOString(), name, value };
  return Buffer.from(frame(seq, JSON.stringify(event)));
}

export const nativeProtocol: StreamProtocol = {
  name: 'native',
  contentType: 'text/event-stream',
  preamble: Buffer.from(`retry: ${RETRY_MS}\n: aerie\n\n`),
  encoder: () => new NativeEncoder(),
};
