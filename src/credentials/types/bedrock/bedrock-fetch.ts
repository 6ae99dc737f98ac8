import { ModelError } from '../../../core/models/chat-model.js';
import { filteredFetch, type StreamFilter } from '../stream-fetch.js';

type Fetch = typeof globalThis.fetch;

const LENGTH_BYTES = 4;
/** The protocol allows no longer message. */
const MAX_FRAME = 24 * 1024 * 1024;

/**
 * The provider package copies what it has of a frame with every piece that comes, so a long frame in small pieces would cost the square of
 * its length. Here frames are passed on whole.
 */
export const bedrockFetch = (fetch: Fetch): Fetch => filteredFetch(fetch, 'vnd.amazon.eventstream', () => new Frames());

/** Frames begin with their length: four bytes, the highest first, that count themselves. */
class Frames implements StreamFilter {
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
  end(): Uint8Array {
    return Buffer.concat(this.pieces, this.held);
  }
}
