const SEPARATOR = Buffer.from('\n\n');
const ID = Buffer.from('id: ');

/** One event as it goes over the wire; `json` holds no line break. */
export function frame(seq: number, json: string): string {
  return `id: ${seq}\ndata: ${json}\n\n`;
}

/** The frames numbered above `after`. A batch may be cut anywhere: a cursor can stand inside it. */
export function framesAfter(frames: Buffer, after: number): Buffer {
  let start = 0;
  while (start < frames.length) {
    const end = frames.indexOf(SEPARATOR, start);
    if (seqAt(frames, start) > after) return frames.subarray(start);
    if (end < 0) break;
    start = end + SEPARATOR.length;
  }
  return frames.subarray(frames.length);
}

/** The events of a batch one by one, for encoders of other protocols. */
export function* eachFrame(frames: Buffer): Generator<{ seq: number; json: string }> {
  for (const text of frames.toString().split('\n\n')) {
    const line = text.indexOf('\n');
    if (line > 0) yield { seq: Number(text.slice(ID.length, line)), json: text.slice(line + '\ndata: '.length) };
  }
}

function seqAt(frames: Buffer, start: number): number {
  let seq = 0;
  for (let at = start + ID.length; at < frames.length; at++) {
    const digit = (frames[at] ?? 0) - 48;
    if (digit < 0 || digit > 9) break;
    seq = seq * 10 + digit;
  }
  return seq;
}
