import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const CHAT = join(import.meta.dirname, '..', '..', 'dist', 'src', 'cli', 'chat.js');

/** The built terminal client as a process, with its input and outputs on pipes. */
export class ChatProcess {
  readonly exited: Promise<number | null>;
  private output = '';
  private errors = '';
  private ended = false;
  private waiters: (() => void)[] = [];

  private constructor(private readonly child: ChildProcess) {
    child.stdout?.setEncoding('utf8').on('data', (text: string) => this.grow(() => (this.output += text)));
    child.stderr?.setEncoding('utf8').on('data', (text: string) => this.grow(() => (this.errors += text)));
    this.exited = once(child, 'close').then(([code]) => {
      this.grow(() => (this.ended = true));
      return code as number | null;
    });
  }

  static start(url: string, args: string[] = [], user = 'alice'): ChatProcess {
    const child = spawn(process.execPath, ['--enable-source-maps', CHAT, ...args], {
      cwd: tmpdir(),
      env: { PATH: process.env['PATH'], AERIE_URL: url, AERIE_USER: user },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    return new ChatProcess(child);
  }

  /** Runs it to its end without input. */
  static async run(
    url: string,
    args: string[],
    user?: string,
  ): Promise<{ code: number | null; output: string; errors: string }> {
    const chat = ChatProcess.start(url, args, user);
    chat.endInput();
    return { code: await chat.exited, output: chat.output, errors: chat.errors };
  }

  /** Resolves when its output holds the text; rejects when it ends without. */
  async says(text: string): Promise<void> {
    while (!this.output.includes(text)) {
      if (this.ended) throw new Error(`it ended without "${text}":\n${this.output}\n${this.errors}`);
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  get text(): string {
    return this.output;
  }

  type(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  endInput(): void {
    this.child.stdin?.end();
  }

  interrupt(): void {
    this.child.kill('SIGINT');
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }

  private grow(change: () => void): void {
    change();
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}
