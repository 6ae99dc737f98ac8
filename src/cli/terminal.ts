import { createInterface, type Interface } from 'node:readline';
import type { Readable, Writable } from 'node:stream';

type Stream<T> = T & { readonly isTTY?: boolean };

/** Lines of the user, kept until they are asked for: a pipe delivers all of them at once. */
export class Terminal {
  private readonly readline: Interface;
  private readonly lines: string[] = [];
  private readonly interactive: boolean;
  private closed = false;
  private waiting: ((line: string | undefined) => void) | undefined;

  /** `onInterrupt`: Ctrl-C, which a terminal in raw mode does not turn into a signal. */
  constructor(
    input: Stream<Readable>,
    private readonly output: Stream<Writable>,
    onInterrupt: () => void,
  ) {
    this.interactive = input.isTTY === true && output.isTTY === true;
    this.readline = createInterface({ input, output, terminal: this.interactive });
    this.readline.on('SIGINT', onInterrupt);
    this.readline.on('line', (line) => {
      if (this.waiting) this.settle(line);
      else this.lines.push(line);
    });
    this.readline.on('close', () => {
      this.closed = true;
      this.settle(undefined);
    });
  }

  /** The next line, undefined at the end of the input. The prompt is for people only. */
  async line(prompt: string): Promise<string | undefined> {
    const known = this.lines.shift();
    if (known !== undefined || this.closed) return known;
    if (this.interactive) {
      this.readline.setPrompt(prompt);
      this.readline.prompt();
    }
    return new Promise((resolve) => (this.waiting = resolve));
  }

  /** Asks something that has to be seen; no answer is a no. */
  async agrees(question: string): Promise<boolean> {
    if (!this.interactive) this.output.write(`${question}\n`);
    const answer = await this.line(`${question} `);
    return /^y(es)?$/i.test(answer?.trim() ?? '');
  }

  /** Lets go of a question that nobody needs an answer to any more. */
  cancel(): void {
    this.settle(undefined);
  }

  close(): void {
    this.readline.close();
  }

  private settle(line: string | undefined): void {
    const resolve = this.waiting;
    this.waiting = undefined;
    resolve?.(line);
  }
}
