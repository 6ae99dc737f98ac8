import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expand } from '../../src/core/events/expand.js';
import type { Msg } from '../../src/core/messages/message.js';
import { frame } from '../../src/events/frames.js';
import { eventually } from '../support/eventually.js';
import { difference } from './difference.js';
import { Follower } from './follower.js';

// The suites beside this one stand on the follower: here it is shown what it lets pass and what it does not.

const NOW = '2026-01-01T00:00:00.000Z';
const spoken = { created_at: NOW, finished_at: NOW };
const message = (id: string, role: 'user' | 'assistant', words: string[]): Msg => ({
  id,
  name: role,
  role,
  content: words.map((text, index) => ({ type: 'text', id: `${id}-${index}`, text, ...spoken })),
  metadata: {},
  ...spoken,
  finished_reason: role === 'assistant' ? 'completed' : null,
  usage: null,
  error: null,
  structured_output: null,
});
const MESSAGES = [message('m1', 'user', ['hello']), message('r1', 'assistant', ['one', 'two'])];
const FRAMES = expand(MESSAGES, { session_id: 's' }).map((event, index) => frame(index + 1, JSON.stringify(event)));
const GAP = { type: 'CUSTOM', id: 'gap', created_at: NOW, name: 'gap', value: { up_to_seq: FRAMES.length } };

let server: Server;
let streams: ServerResponse[];
let asked: string[];
let follower: Follower;

beforeEach(async () => {
  [streams, asked] = [[], []];
  server = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.flushHeaders();
    asked.push(String(request.headers['last-event-id']));
    streams.push(response);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const page = { messages: MESSAGES, as_of_seq: FRAMES.length, has_more: false, is_running: false };
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  follower = new Follower({ url, user: 'alice', messages: () => Promise.resolve(page) }, 's');
});
afterEach(async () => {
  await follower.close();
  server.closeAllConnections();
  server.close();
});

const stream = (index: number): Promise<ServerResponse> => eventually(() => streams[index]);
/** Says the frames, and waits until they were heard. */
async function say(frames: string[], index = 0): Promise<void> {
  const heard = follower.seen.length + frames.length;
  (await stream(index)).write(frames.join(''));
  await eventually(() => (follower.seen.length >= heard ? true : undefined));
}

describe('a follower', () => {
  it('folds what it sees over a connection that breaks, and asks for what comes after', async () => {
    await say(FRAMES.slice(0, 5));
    (await stream(0)).destroy();
    await say(FRAMES.slice(5), 1);
    expect(asked).toEqual(['0', '5']);
    expect([follower.faults, difference(follower.messages, MESSAGES), follower.ends('r1').length]).toEqual([
      [],
      null,
      1,
    ]);
  });

  it('complains of a number that comes twice', async () => {
    await say(FRAMES.slice(0, 5));
    await say(FRAMES.slice(4));
    expect(follower.faults[0]).toMatch(/has number 5 after 5/);
  });

  it('ends up with another transcript when an event is lost', async () => {
    const lost = FRAMES.findIndex((text) => text.includes('TEXT_BLOCK_DELTA'));
    await say(FRAMES.filter((_, index) => index !== lost));
    expect(difference(follower.messages, MESSAGES)).toMatch(/^\.1\.content\.0\.text: "" followed, "one" on record$/);
  });

  it('complains of events that are out of order', async () => {
    await say(FRAMES.filter((text) => !text.includes('MODEL_CALL_START')));
    expect(follower.faults[0]).toMatch(/GrammarError: TEXT_BLOCK_START: no model call is open/);
  });

  it('reads the transcript anew on a gap, and drops what that holds already', async () => {
    await say(FRAMES.slice(0, 3));
    await say([frame(FRAMES.length, JSON.stringify(GAP))]);
    await eventually(() => (follower.gaps === 1 && follower.messages.length === 2 ? true : undefined));
    expect([follower.faults, difference(follower.messages, MESSAGES)]).toEqual([[], null]);
  });
});
