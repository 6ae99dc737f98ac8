const SEPARATOR = '\n\n';
const COLON = 0x3a;
const LETTER_R = 0x72;

/** Splits what one stream sends into SSE frames, without decoding them; comments and `retry:` do not count. */
export class FrameScanner {
  #rest = Buffer.alloc(0);
  #end;

  constructor(end) {
    this.#end = Buffer.from(end);
  }

  /** Calls back for each frame that came to its end, with whether it is the last one of a run. */
  feed(chunk, onFrame) {
    const bytes = this.#rest.length > 0 ? Buffer.concat([this.#rest, chunk]) : chunk;
    let from = 0;
    for (let at = bytes.indexOf(SEPARATOR); at >= 0; at = bytes.indexOf(SEPARATOR, from)) {
      const first = bytes[from];
      if (first !== COLON && first !== LETTER_R) onFrame(bytes.subarray(from, at).includes(this.#end));
      from = at + SEPARATOR.length;
    }
    this.#rest = from < bytes.length ? Buffer.from(bytes.subarray(from)) : Buffer.alloc(0);
  }
}
