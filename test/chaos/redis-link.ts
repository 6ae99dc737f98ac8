import { once } from 'node:events';
import { connect, createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { isError, isPush, RespSplitter, words } from './resp.js';

/** `pass`; `hold`: nothing gets through to Redis; `mute`: Redis hears everything, its answers to appends stay here. */
export type LinkMode = 'pass' | 'hold' | 'mute';

/**
 * The way of one node to Redis, through the process of the tests. It can be held shut, kept from answering, or cut in the moment in which
 * Redis has done an append and the node does not know it.
 */
export class RedisLink {
  private readonly pipes = new Set<Pipe>();
  private current: LinkMode = 'pass';
  /** How many appends are still to be cut off from their answers. */
  private cuts = 0;
  cut = 0;

  private constructor(
    private readonly server: Server,
    private readonly port: number,
  ) {
    server.on('connection', (socket) => this.accept(socket));
  }

  static async open(redisPort: number): Promise<RedisLink> {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    return new RedisLink(server, redisPort);
  }

  get url(): string {
    return `redis://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get mode(): LinkMode {
    return this.current;
  }

  set mode(mode: LinkMode) {
    this.current = mode;
    for (const pipe of this.pipes) pipe.look();
  }

  /** Cuts the connection after each of the next `count` appends, before the answer. */
  cutAfterAppends(count: number): void {
    this.cuts = count;
  }

  /** Appends whose answers are kept from the node now. */
  get muted(): number {
    return [...this.pipes].reduce((sum, pipe) => sum + pipe.muted, 0);
  }

  /** Ends all connections; the node makes new ones. */
  sever(): void {
    for (const pipe of this.pipes) pipe.end();
  }

  async close(): Promise<void> {
    this.server.close();
    this.sever();
    await once(this.server, 'close');
  }

  /** Whether an append that Redis has just done is to be cut off from its answer. */
  takeCut(): boolean {
    if (this.cuts === 0) return false;
    this.cuts -= 1;
    this.cut += 1;
    return true;
  }

  private accept(client: Socket): void {
    const pipe = new Pipe(this, client, connect(this.port, '127.0.0.1'));
    this.pipes.add(pipe);
    client.once('close', () => this.pipes.delete(pipe));
  }
}

/** One connection. Requests and answers are counted, so that it is known which answer belongs to an append. */
class Pipe {
  muted = 0;
  private readonly requests = new RespSplitter();
  private readonly answers = new RespSplitter();
  /** For each request that Redis has not answered: whether it is an append. */
  private readonly open: boolean[] = [];
  private waiting: Buffer[] = [];

  constructor(
    private readonly link: RedisLink,
    private readonly client: Socket,
    private readonly redis: Socket,
  ) {
    client.setNoDelay(true);
    redis.setNoDelay(true);
    client.on('data', (chunk) => this.ask(chunk));
    redis.on('data', (chunk) => this.answer(chunk));
    for (const side of [client, redis]) side.on('error', () => this.end()).on('close', () => this.end());
  }

  end(): void {
    this.client.destroy();
    this.redis.destroy();
  }

  /** The mode has changed. */
  look(): void {
    if (this.link.mode === 'hold') return;
    for (const chunk of this.waiting.splice(0)) this.redis.write(chunk);
  }

  private ask(chunk: Buffer): void {
    for (const request of this.requests.push(chunk)) this.open.push(isAppend(request));
    if (this.link.mode === 'hold') this.waiting.push(chunk);
    else this.redis.write(chunk);
  }

  private answer(chunk: Buffer): void {
    for (const message of this.answers.push(chunk)) {
      if (isPush(message)) {
        this.client.write(message);
        continue;
      }
      const append = this.open.shift() === true && !isError(message);
      if (append && this.link.takeCut()) return this.end();
      if (append && this.link.mode === 'mute') this.muted += 1;
      // Answers keep their order: what comes after one that is kept back stays here too.
      if (this.muted === 0) this.client.write(message);
    }
  }
}

/** An append is a script that names the stream of a session; those of the job queue name streams of their own. */
function isAppend(request: Buffer): boolean {
  const [command = '', ...rest] = words(request);
  return /^(eval|evalsha|fcall)$/i.test(command) && rest.some((word) => /^aerie:\{.*\}:events$/.test(word));
}
