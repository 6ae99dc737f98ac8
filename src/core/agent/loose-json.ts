/**
 * What text that is not valid JSON may be:
 * - `object`: one whole object, written loosely; `json` is it in valid JSON.
 * - `cut_off`: the text ends before the object, a string or a comment in it does. A proper beginning of valid JSON is always this.
 * - `other`: anything else, also where only a guess would tell what was meant.
 */
export type LooseJson = { kind: 'object'; json: string } | { kind: 'cut_off' } | { kind: 'other' };

/** Reads text that is not valid JSON. */
export type JsonRepair = (text: string) => LooseJson;

const MAX_DEPTH = 64;
const CUT_OFF = { kind: 'cut_off' } as const;
const OTHER = { kind: 'other' } as const;

const OPENING_FENCE = /^\s*```[\w-]*/;
const CLOSING_FENCE = /\s*```\s*$/y;
const BLANK = /\s+/y;
const KEY = /[\p{L}_$][\p{L}\p{N}_$-]*/uy;
const LITERAL = /(?:-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?|true|false|null|True|False|None)(?![\w$.+-])/y;
const LITERAL_BEGUN = /[\w.+-]*$/y;
const HEX = /[\da-fA-F]{4}/y;
const PYTHON: ReadonlyMap<string, string> = new Map([
  ['True', 'true'],
  ['False', 'false'],
  ['None', 'null'],
]);

/**
 * Reads JSON as models write it: in a fence, with comments, single quotes, raw line ends in strings, keys without quotes, a comma at the end of
 * a list, and Python's names of the literals. Where a string ends and what an unknown escape means is never guessed, nor is anything left out
 * or made up: what a tool does would be another thing than was written. Packages that repair JSON do guess, and misread even strings that are
 * whole, such as `"if (x) {"`. Takes time in proportion to the text.
 */
export function looseJson(text: string): LooseJson {
  return new Reader(text).read();
}

/** Thrown within this file only. */
class Stop extends Error {
  constructor(readonly outcome: LooseJson) {
    super(outcome.kind);
  }
}

class Reader {
  private at: number;
  private readonly out: string[] = [];

  constructor(private readonly source: string) {
    this.at = OPENING_FENCE.exec(source)?.[0].length ?? 0;
  }

  read(): LooseJson {
    try {
      this.skip();
      if (this.peek() !== '{') return this.at >= this.source.length ? CUT_OFF : OTHER;
      this.object(1);
      this.skip();
      if (this.at < this.source.length && this.take(CLOSING_FENCE) === null) return OTHER;
      return { kind: 'object', json: this.out.join('') };
    } catch (error) {
      if (error instanceof Stop) return error.outcome;
      throw error;
    }
  }

  private object(depth: number): void {
    this.members('}', () => {
      this.key();
      this.skip();
      if (this.peek() !== ':') throw this.unexpected();
      this.at += 1;
      this.out.push(':');
      this.skip();
      this.value(depth);
    });
  }

  private key(): void {
    if (this.isQuote()) return this.string();
    const key = this.take(KEY);
    if (key === null) throw this.unexpected();
    this.out.push(JSON.stringify(key));
  }

  private value(depth: number): void {
    const char = this.peek();
    if (char === '{' || char === '[') {
      if (depth === MAX_DEPTH) throw new Stop(OTHER);
      if (char === '{') this.object(depth + 1);
      else this.members(']', () => this.value(depth + 1));
    } else if (this.isQuote()) this.string();
    else {
      const literal = this.take(LITERAL);
      if (literal === null) {
        this.take(LITERAL_BEGUN);
        throw this.unexpected();
      }
      this.out.push(PYTHON.get(literal) ?? literal);
    }
  }

  /** From the opening bracket to behind `close`. */
  private members(close: '}' | ']', member: () => void): void {
    this.out.push(this.peek());
    this.at += 1;
    this.skip();
    for (let first = true; this.peek() !== close; first = false) {
      if (!first) this.out.push(',');
      member();
      this.skip();
      if (this.peek() === ',') {
        this.at += 1;
        this.skip();
      } else if (this.peek() !== close) throw this.unexpected();
    }
    this.out.push(close);
    this.at += 1;
  }

  private string(): void {
    const quote = this.peek();
    const start = this.at + 1;
    for (this.at = start; this.peek() !== quote; this.at += 1) {
      if (this.at >= this.source.length) throw new Stop(CUT_OFF);
      if (this.peek() === '\\') this.escape();
    }
    const inner = this.source.slice(start, this.at).replace(/\\.|["\u0000-\u001f]/gs, (part) => {
      if (part.startsWith('\\')) return part === "\\'" ? "'" : part;
      return JSON.stringify(part).slice(1, -1);
    });
    this.out.push('"', inner, '"');
    this.at += 1;
  }

  /** From the backslash to its last character. */
  private escape(): void {
    this.at += 1;
    if (this.at >= this.source.length) throw new Stop(CUT_OFF);
    if (!'"\'\\/bfnrtu'.includes(this.peek())) throw new Stop(OTHER);
    if (this.peek() !== 'u') return;
    this.at += 1;
    if (this.take(HEX) === null) throw new Stop(this.at + 4 > this.source.length ? CUT_OFF : OTHER);
    this.at -= 1;
  }

  /** Blanks and comments. */
  private skip(): void {
    for (;;) {
      this.take(BLANK);
      if (this.peek() !== '/') return;
      const kind = this.source.slice(this.at, this.at + 2);
      if (kind === '/') throw new Stop(CUT_OFF);
      if (kind !== '//' && kind !== '/*') return;
      const close = kind === '//' ? '\n' : '*/';
      const end = this.source.indexOf(close, this.at + 2);
      if (end < 0 && kind === '/*') throw new Stop(CUT_OFF);
      this.at = end < 0 ? this.source.length : end + close.length;
    }
  }

  private isQuote(): boolean {
    return this.peek() === '"' || this.peek() === "'";
  }

  private peek(): string {
    return this.source.charAt(this.at);
  }

  /** Moves behind what fits here. */
  private take(pattern: RegExp): string | null {
    pattern.lastIndex = this.at;
    const fits = pattern.exec(this.source);
    if (fits === null) return null;
    this.at += fits[0].length;
    return fits[0];
  }

  /** Something else was to come here. */
  private unexpected(): Stop {
    return new Stop(this.at >= this.source.length ? CUT_OFF : OTHER);
  }
}
