import { expect, it } from '@jest/globals';
import { LocalEventLog } from './local-event-log.js';

const MEGABYTE = 'x'.repeat(1024 * 1024);

async function append(
  log: LocalEventLog,
  session_id: string,
  seq: number,
  frames: string,
  keep_from = seq,
): Promise<void> {
  const ref = { tenant_id: 't', session_id };
  const at = { prev: seq - 1, first: seq, last: seq };
  await log.append({ ...ref, ...at, token: 1, frames, keep_from, acknowledged: 0, create: true });
}

const held = async (log: LocalEventLog, session_id: string) =>
  (await log.read({ tenant_id: 't', session_id }, 0, 10_000)).map((batch) => batch.last);

it('bounds what one session holds in bytes, but keeps what its open reply needs', async () => {
  const log = new LocalEventLog({ max_entries: 10_000, ttl_seconds: 60 });
  for (let seq = 1; seq <= 40; seq++) await append(log, 's', seq, MEGABYTE);
  expect(await held(log, 's')).toEqual(Array.from({ length: 16 }, (_, i) => 25 + i));
  for (let seq = 41; seq <= 80; seq++) await append(log, 's', seq, MEGABYTE, 30);
  expect((await held(log, 's'))[0]).toBe(30);
});

it('bounds what all sessions hold together: the one idle for longest forgets first', async () => {
  const log = new LocalEventLog({ max_entries: 10_000, ttl_seconds: 60 });
  for (let session = 0; session < 40; session++) {
    for (let seq = 1; seq <= 10; seq++) await append(log, `s${session}`, seq, MEGABYTE);
  }
  expect(await held(log, 's0')).toEqual([]);
  expect(await held(log, 's39')).toHaveLength(10);
});

it('forgets sessions that were idle for too long, when another one speaks', async () => {
  let now = 0;
  const log = new LocalEventLog({ max_entries: 100, ttl_seconds: 60 }, () => now);
  await append(log, 'old', 1, 'x');
  const heard: number[] = [];
  await log.subscribe({ tenant_id: 't', session_id: 'watched' }, (signal) => {
    if (signal.type === 'batch') heard.push(signal.batch.last);
  });
  await append(log, 'watched', 1, 'x');
  now = 61_000;
  await append(log, 'new', 1, 'x');
  expect([await held(log, 'old'), await held(log, 'watched')]).toEqual([[], []]);
  await append(log, 'watched', 2, 'x');
  expect(heard).toEqual([1, 2]);
});
