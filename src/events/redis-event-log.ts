import type { Redis } from 'ioredis';
import { eventsKey } from '../platform/redis/keys.js';
import type { RedisPubSub } from '../platform/redis/pubsub.js';
import { within } from '../platform/redis/within.js';
import {
  EventLog,
  type AppendBatch,
  type AppendResult,
  type EventBatch,
  type EventLogLimits,
  type SessionRef,
  type Signal,
} from './event-log.js';

/**
 * KEYS[1] stream and channel. ARGV: 1 last, 2 token, 3 prev, 4 first, 5 frames, 6 create (0|1), 7 max entries, 8 keep_from, 9 ttl seconds,
 * 10 acknowledged. One entry per batch, id `<last>-0`. A number that is not above the top fences every earlier holder, since a later holder's
 * numbers start above all numbers an earlier one may give. What is looked at and what is written is one step: a command that comes late, or is
 * sent again to another server, finds what that server holds. Any refusal of Redis (full, read-only) is an error to try again.
 */
const APPEND = `
local newest = redis.call('XREVRANGE', KEYS[1], '+', '-', 'COUNT', 1)[1]
if not newest and ARGV[6] == '0' then return 'missing' end
local top = newest and tonumber(string.sub(newest[1], 1, -3)) or 0
if top < tonumber(ARGV[10]) then return 'lost' end
if tonumber(ARGV[1]) <= top then
  local present = redis.call('XRANGE', KEYS[1], ARGV[1] .. '-0', ARGV[1] .. '-0')[1]
  if present and present[2][2] == ARGV[2] then return 'ok' end
  return 'fenced'
end
redis.call('XADD', KEYS[1], ARGV[1] .. '-0', 't', ARGV[2], 'p', ARGV[3], 'f', ARGV[4], 'd', ARGV[5])
redis.call('PUBLISH', KEYS[1], ARGV[3] .. ' ' .. ARGV[4] .. ' ' .. ARGV[1] .. '\\n' .. ARGV[5])
local length = redis.call('XLEN', KEYS[1])
local max = tonumber(ARGV[7])
local keep = tonumber(ARGV[8])
if length > max and tonumber(string.match(redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', 1)[1][1], '^%d+')) < keep then
  local oldest = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', length - max + math.floor(max / 8) + 1)
  local floor = tonumber(string.match(oldest[#oldest][1], '^%d+'))
  redis.call('XTRIM', KEYS[1], 'MINID', math.min(floor, keep))
end
redis.call('EXPIRE', KEYS[1], ARGV[9])
return 'ok'
`;

const END = 'end';

/** A command waits in the client while Redis is away: its caller is told, and tries again. A late append is acknowledged then. */
const TIMEOUT_MS = 2000;

interface AppendCommand {
  aerieAppend(key: string, ...args: (string | number)[]): Promise<AppendResult>;
}

/** The event log shared by all nodes: one Redis Stream per session, published as it is written. */
export class RedisEventLog extends EventLog {
  private readonly commands: Redis & AppendCommand;

  constructor(
    commands: Redis,
    private readonly pubsub: RedisPubSub,
    private readonly limits: EventLogLimits,
  ) {
    super();
    commands.defineCommand('aerieAppend', { numberOfKeys: 1, lua: APPEND });
    this.commands = commands as Redis & AppendCommand;
  }

  append(batch: AppendBatch): Promise<AppendResult> {
    return within(TIMEOUT_MS, this.write(batch));
  }

  private write(batch: AppendBatch): Promise<AppendResult> {
    return this.commands.aerieAppend(
      eventsKey(batch),
      batch.last,
      batch.token,
      batch.prev,
      batch.first,
      batch.frames,
      batch.create ? 1 : 0,
      this.limits.max_entries,
      batch.keep_from,
      this.limits.ttl_seconds,
      batch.acknowledged,
    );
  }

  async read(ref: SessionRef, after: number, limit: number): Promise<EventBatch[]> {
    const read = this.commands.xrangeBuffer(eventsKey(ref), `(${after}-0`, '+', 'COUNT', limit);
    const entries = await within(TIMEOUT_MS, read);
    return entries.map(([id, fields]) => ({
      prev: Number(fields[3]),
      first: Number(fields[5]),
      last: Number.parseInt(id.toString(), 10),
      frames: fields[7] ?? Buffer.alloc(0),
    }));
  }

  async top(ref: SessionRef): Promise<number | null> {
    const [entry] = await within(TIMEOUT_MS, this.commands.xrevrange(eventsKey(ref), '+', '-', 'COUNT', 1));
    return entry ? Number.parseInt(entry[0], 10) : null;
  }

  async subscribe(ref: SessionRef, listener: (signal: Signal) => void): Promise<() => void> {
    const unsubscribe = await this.pubsub.subscribe(eventsKey(ref), (message) => listener(parse(message)));
    const forget = this.pubsub.onReconnect(() => listener({ type: 'resync' }));
    return () => {
      forget();
      unsubscribe();
    };
  }

  async remove(ref: SessionRef): Promise<void> {
    await within(TIMEOUT_MS, this.commands.multi().del(eventsKey(ref)).publish(eventsKey(ref), END).exec());
  }
}

function parse(message: Buffer): Signal {
  const line = message.indexOf(10);
  if (line < 0) return { type: 'end' };
  const [prev, first, last] = message.toString('latin1', 0, line).split(' ').map(Number);
  return {
    type: 'batch',
    batch: { prev: prev ?? 0, first: first ?? 0, last: last ?? 0, frames: message.subarray(line + 1) },
  };
}
