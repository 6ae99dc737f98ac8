import { parseArgs } from 'node:util';
import { approvalOf } from '../core/events/approval-note.js';
import type { ToolCallBlock } from '../core/messages/block.js';
import { cliConfig } from '../platform/config/cli.js';
import { ConfigError } from '../platform/config/config-error.js';
import { Api, ApiError, UnreachableError } from './api.js';
import { Conversation } from './conversation.js';
import { printable, Renderer, type ReplyEnd } from './render.js';
import { findPlace, type Place } from './setup.js';
import { Terminal } from './terminal.js';

const USAGE = `npm run chat -- [options] [message]
Without a message: interactive. /new begins a fresh session, /exit ends, Ctrl-C stops a reply (twice: ends).
  --agent ID      the agent to talk to (default: one with the demo model)
  --session NAME  the session to talk in (default: chat-cli)
  --url URL       the service (AERIE_URL, default http://127.0.0.1:8000)
  AERIE_USER      who you are (default: your name in the system)`;

const EXIT_INTERRUPTED = 130;
const EXIT_CODES: Record<ReplyEnd, number> = {
  completed: 0,
  exceed_max_iters: 0,
  error: 1,
  interrupted: EXIT_INTERRUPTED,
};

const { stdin, stdout } = process;

class Chat {
  private readonly renderer = new Renderer((text) => stdout.write(text), stdout.isTTY && stdout.hasColors());
  private opened: Terminal | undefined;
  private conversation: Conversation;
  private replying = false;
  private interrupting = false;

  constructor(
    private readonly api: Api,
    private readonly place: Place,
  ) {
    this.conversation = this.converse(place.session_id);
    process.on('SIGINT', this.onInterrupt);
  }

  async once(message: string): Promise<number> {
    return EXIT_CODES[await this.reply(message)];
  }

  async interactive(): Promise<number> {
    const { terminal } = this;
    for (;;) {
      const line = (await terminal.line('> '))?.trim();
      if (line === undefined || line === '/exit') return 0;
      if (line === '') continue;
      try {
        if (line === '/new') {
          this.conversation = this.converse(await this.api.createSession(this.place.agent_id));
          this.renderer.line('A fresh session.', 'dim');
        } else await this.reply(line);
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        this.renderer.error(error.message);
      }
    }
  }

  close(): void {
    process.off('SIGINT', this.onInterrupt);
    this.opened?.close();
  }

  /** Opened when it is needed: one message from the command line leaves the input alone. */
  private get terminal(): Terminal {
    return (this.opened ??= new Terminal(stdin, stdout, this.onInterrupt));
  }

  private converse(session: string): Conversation {
    return new Conversation(this.api, session, this.renderer, (call) => this.terminal.agrees(question(call)));
  }

  private async reply(message: string): Promise<ReplyEnd> {
    this.replying = true;
    this.interrupting = false;
    try {
      return await this.conversation.say(message);
    } finally {
      this.replying = false;
    }
  }

  private leave(): void {
    // The shell's prompt comes on a line of its own.
    if (stdout.isTTY) stdout.write('\n');
    this.opened?.close();
  }

  private readonly onInterrupt = (): void => {
    if (!this.replying) return this.leave();
    if (this.interrupting) process.exit(EXIT_INTERRUPTED);
    this.interrupting = true;
    this.renderer.line('Stopping the reply (again to leave at once)', 'dim');
    this.opened?.cancel();
    this.conversation.interrupt().catch((error: unknown) => this.renderer.error(describe(error)));
  };
}

/** On one line, which no input can end: below it nothing is asked. */
function question(call: ToolCallBlock): string {
  const input = approvalOf(call)?.input ?? call.input;
  return `Allow ${printable(`${call.name} ${input}`).replace(/\s+/g, ' ')}? [y/N]`;
}

function describe(error: unknown): string {
  if (error instanceof UnreachableError) return `${error.message} Start the service with \`npm start\`.`;
  if (error instanceof Error) return error.message;
  return String(error);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      agent: { type: 'string' },
      session: { type: 'string' },
      url: { type: 'string' },
      help: { type: 'boolean' },
    },
  });
  if (values.help) {
    console.log(USAGE);
    return 0;
  }
  const config = cliConfig(values);
  const api = new Api(config.url, config.user);
  const chat = new Chat(api, await findPlace(api, values));
  try {
    return positionals.length > 0 ? await chat.once(positionals.join(' ')) : await chat.interactive();
  } finally {
    chat.close();
  }
}

try {
  process.exitCode = await main();
} catch (error) {
  const known = [ApiError, UnreachableError, ConfigError].some((type) => error instanceof type);
  const isUsage = error instanceof TypeError && 'code' in error && String(error.code).startsWith('ERR_PARSE_ARGS');
  console.error(known || isUsage ? describe(error) : error);
  if (isUsage) console.error(USAGE);
  process.exitCode = 1;
}
