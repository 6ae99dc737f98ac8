const CR = 13;

/** Splits what one side of a Redis connection sends into whole messages; requests are arrays like any other. */
export class RespSplitter {
  private rest: Buffer = Buffer.alloc(0);

  /** The messages that are complete by now, each as its bytes. */
  push(chunk: Buffer): Buffer[] {
    this.rest = this.rest.length === 0 ? chunk : Buffer.concat([this.rest, chunk]);
    const messages: Buffer[] = [];
    let start = 0;
    for (let end = endOf(this.rest, start); end > 0; end = endOf(this.rest, start)) {
      messages.push(this.rest.subarray(start, end));
      start = end;
    }
    this.rest = this.rest.subarray(start);
    return messages;
  }
}

/** Where the value that begins at `at` ends; -1 while it is not complete. */
function endOf(bytes: Buffer, at: number): number {
  if (at >= bytes.length) return -1;
  const line = bytes.indexOf('\r\n', at);
  if (line < 0) return -1;
  const next = line + 2;
  const kind = String.fromCharCode(bytes[at] ?? 0);
  const count = Number(bytes.toString('latin1', at + 1, line));
  switch (kind) {
    case '$':
    case '!':
    case '=':
      if (count < 0) return next;
      return next + count + 2 <= bytes.length ? next + count + 2 : -1;
    case '*':
    case '~':
    case '>':
      return after(bytes, next, Math.max(count, 0));
    case '%':
      return after(bytes, next, 2 * count);
    default:
      return next;
  }
}

function after(bytes: Buffer, at: number, values: number): number {
  let end = at;
  for (let left = values; left > 0 && end >= 0; left -= 1) end = endOf(bytes, end);
  return end;
}

/** The words of a request. */
export function words(request: Buffer): string[] {
  const found: string[] = [];
  let at = request.indexOf('\r\n') + 2;
  while (at < request.length) {
    const line = request.indexOf(CR, at);
    const length = Number(request.toString('latin1', at + 1, line));
    found.push(request.toString('utf8', line + 2, line + 2 + length));
    at = line + 2 + length + 2;
  }
  return found;
}

/** A message that Redis sends by itself, not as the answer to a request. */
export const isPush = (message: Buffer): boolean => message[0] === '>'.charCodeAt(0);

export const isError = (message: Buffer): boolean => message[0] === '-'.charCodeAt(0);
