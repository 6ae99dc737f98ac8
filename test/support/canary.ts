import { Redis } from 'ioredis';
import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join, relative } from 'node:path';
import { ApiClient, type Answer, EventStream } from './client.js';

type Sql = (text: string) => Promise<Record<string, unknown>[]>;

/** A secret that is found wherever it stands, in the spellings in which programs write one down. */
export class Canary {
  readonly secret = `sk-canary-${randomBytes(12).toString('hex')}`;
  private readonly spellings: readonly string[] = spellingsOf(this.secret);

  /** Whether any part of the secret that tells it stands in the text. */
  isIn(text: string): boolean {
    return this.spellings.some((spelling) => text.includes(spelling));
  }
}

/** Also its halves: what masks the middle of a key, or cuts it off, still tells most of it. */
function spellingsOf(secret: string): string[] {
  const bytes = Buffer.from(secret);
  // Base64 spells it in three ways, by what stands before it; the first and last digits depend on its neighbours.
  const base64 = [0, 1, 2].flatMap((before) => {
    const text = Buffer.concat([Buffer.alloc(before), bytes]).toString('base64');
    const inner = text.slice(4, text.length - 4);
    return [inner, inner.replaceAll('+', '-').replaceAll('/', '_')];
  });
  const halves = [secret.slice(0, -12), secret.slice(-20)];
  return [...new Set([...halves, bytes.toString('hex').slice(0, -8), ...base64])];
}

/** Everything a service has written, by where. */
export class Traces {
  private readonly places = new Map<string, string>();

  add(place: string, text: string): void {
    this.places.set(place, `${this.places.get(place) ?? ''}\n${text}`);
  }

  /** Where the secret stands. */
  find(canary: Canary): string[] {
    return [...this.places].filter(([, text]) => canary.isIn(text)).map(([place]) => place);
  }

  findText(needle: string): string[] {
    return [...this.places].filter(([, text]) => text.includes(needle)).map(([place]) => place);
  }

  /** A client whose answers leave a trace. */
  client(url: string, user: string, headers: Record<string, string> = {}): ApiClient {
    return new TracedClient(this, url, user, headers);
  }

  async database(sql: Sql): Promise<void> {
    const tables = await sql(
      `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    for (const { name } of tables) {
      for (const { row } of await sql(`SELECT row_to_json(t)::text AS row FROM ${String(name)} t`)) {
        this.add(`table ${String(name)}`, String(row));
      }
    }
  }

  async redis(url: string): Promise<void> {
    const redis = new Redis(url);
    try {
      for (const key of await redis.keys('*')) this.add('redis', `${key} ${JSON.stringify(await valueOf(redis, key))}`);
    } finally {
      redis.disconnect();
    }
  }

  /** `except` names files that are meant to hold keys. */
  async folder(root: string, except: readonly string[] = []): Promise<void> {
    const entries = await readdir(root, { withFileTypes: true, recursive: true });
    for (const entry of entries) {
      const path = join(entry.parentPath, entry.name);
      if (!entry.isFile() || except.includes(entry.name)) continue;
      // Latin-1: every byte is a character, so nothing is lost of files that are no text.
      this.add(`file ${relative(root, path)}`, await readFile(path, 'latin1'));
    }
  }
}

async function valueOf(redis: Redis, key: string): Promise<unknown> {
  const kind = await redis.type(key);
  if (kind === 'string') return redis.get(key);
  if (kind === 'hash') return redis.hgetall(key);
  if (kind === 'list') return redis.lrange(key, 0, -1);
  if (kind === 'set') return redis.smembers(key);
  if (kind === 'zset') return redis.zrange(key, '0', '-1', 'WITHSCORES');
  if (kind === 'stream') return redis.xrange(key, '-', '+');
  if (kind === 'none') return null;
  throw new Error(`a key of a kind that the search does not know: ${kind}`);
}

class TracedClient extends ApiClient {
  constructor(
    private readonly traces: Traces,
    url: string,
    user: string,
    headers: Record<string, string>,
  ) {
    super(url, user, headers);
  }

  override async request<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers?: Record<string, string>,
  ): Promise<Answer<T>> {
    const answer = await super.request<T>(method, path, body, headers);
    this.traces.add(
      'answers',
      `${method} ${path} ${answer.status} ${JSON.stringify([...answer.headers])} ${answer.text}`,
    );
    return answer;
  }

  override async stream(session_id: string, query?: string, headers?: Record<string, string>): Promise<EventStream> {
    const stream = await super.stream(session_id, query, headers);
    void stream.end().then(() => this.traces.add('streams', stream.raw));
    return stream;
  }
}
