// The least a server of this kind can do, to hold ours against. Node, Fastify, ioredis and pg as the service uses them; no more than
// the named work. Takes its kind in the argument; REDIS_URL and DATABASE_URL where it needs them.
import { randomUUID } from 'node:crypto';
import fastify from 'fastify';
import { Redis } from 'ioredis';
import pg from 'pg';

/** What each kind does. `store`: two awaited INSERTs per run. `batch`: the events of one event-loop turn travel as one. */
const KINDS = {
  sse: { serve: serveDirectly },
  'pubsub-store': { serve: (app) => serveTriggered(app, { store: true, batch: false }) },
  'pubsub-batch': { serve: (app) => serveTriggered(app, { store: false, batch: true }) },
  'pubsub-batch-store': { serve: (app) => serveTriggered(app, { store: true, batch: true }) },
};
const MAX_ENTRIES = 1000;
const AT_ONCE = 50;
const SSE = { 'content-type': 'text/event-stream', 'cache-control': 'no-cache', connection: 'keep-alive' };

/** The same lines as the demo model: `/say TEXT` is one delta, `/stream N` are N. */
function* eventsOf(run_id, text) {
  yield { type: 'RUN_STARTED', run_id };
  const deltas = text.startsWith('/stream ') ? Number(text.slice(8)) : 1;
  for (let seq = 0; seq < deltas; seq += 1) yield { type: 'TEXT_DELTA', run_id, seq, delta: `tok${seq} ` };
  yield { type: 'RUN_FINISHED', run_id };
}

function serveDirectly(app) {
  app.post('/run', async (request, reply) => {
    reply.hijack();
    const response = reply.raw;
    response.writeHead(200, SSE);
    for (const event of eventsOf(randomUUID(), request.body.input.content)) {
      const room = response.write(`event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`);
      if (!room) await new Promise((resolve) => response.once('drain', resolve));
    }
    response.end();
  });
}

async function serveTriggered(app, { store, batch }) {
  const commands = new Redis(process.env.REDIS_URL, { enableAutoPipelining: true });
  const subscriber = new Redis(process.env.REDIS_URL);
  const insert = store ? await inserter() : async () => undefined;
  const followers = new Map();
  subscriber.on('message', (key, message) => {
    const at = message.indexOf('|');
    const text = frames(message.slice(0, at), message.slice(at + 1));
    for (const response of followers.get(key) ?? []) response.write(text);
  });
  const append = async (key, json) => {
    const id = await commands.xadd(key, 'MAXLEN', '~', MAX_ENTRIES, '*', 'd', json);
    await commands.publish(key, `${id}|${json}`);
  };
  const emit = batch ? batched(append) : append;

  const run = async (session_id, text) => {
    const key = `floor:${session_id}`;
    const run_id = randomUUID();
    await insert(session_id, 'user', { text });
    const sent = [];
    for (const event of eventsOf(run_id, text)) {
      if (event.type === 'RUN_FINISHED') {
        await Promise.all(sent.splice(0));
        await insert(session_id, 'assistant', { text: 'done' });
      }
      sent.push(emit(key, JSON.stringify(event)));
      if (sent.length === AT_ONCE) await Promise.all(sent.splice(0));
    }
    await Promise.all(sent);
  };

  app.post('/sessions', async () => ({ session_id: randomUUID() }));
  app.post('/chat', async (request) => {
    const { session_id, input } = request.body;
    run(session_id, input.content).catch((error) => console.error(error));
    return { status: 'started', session_id };
  });
  app.get('/sessions/:id/stream', async (request, reply) => {
    const key = `floor:${request.params.id}`;
    const response = reply.raw;
    reply.hijack();
    const here = followers.get(key) ?? new Set();
    followers.set(key, here.add(response));
    response.once('close', () => {
      here.delete(response);
      if (here.size > 0) return;
      followers.delete(key);
      // The log goes with its last follower, so that rounds do not fill the memory.
      Promise.all([subscriber.unsubscribe(key), commands.unlink(key)]).catch((error) => console.error(error));
    });
    await subscriber.subscribe(key);
    response.writeHead(200, SSE);
    response.write(':\n\n');
    for (const [id, fields] of await commands.xrange(key, '-', '+')) response.write(frames(id, fields[1]));
  });
}

/** An entry holds one event a line. */
function frames(id, lines) {
  return lines
    .split('\n')
    .map((json, index) => `id: ${id}.${index}\ndata: ${json}\n\n`)
    .join('');
}

/** Gathers what is emitted for a key before the event loop turns. */
function batched(append) {
  const open = new Map();
  return (key, json) => {
    const gathering = open.get(key);
    if (gathering) {
      gathering.lines.push(json);
      return gathering.sent;
    }
    const lines = [json];
    const turn = new Promise((resolve) => setImmediate(resolve));
    const sent = turn.then(() => {
      open.delete(key);
      return append(key, lines.join('\n'));
    });
    open.set(key, { lines, sent });
    return sent;
  };
}

async function inserter() {
  const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL, max: 10 });
  await pool.query(
    `CREATE TABLE IF NOT EXISTS floor_messages (
       id uuid PRIMARY KEY, session_id uuid, role text, content jsonb, created_at timestamptz DEFAULT now())`,
  );
  const text = 'INSERT INTO floor_messages (id, session_id, role, content) VALUES ($1, $2, $3, $4)';
  return async (session_id, role, content) => {
    await pool.query({ name: 'floor-insert', text, values: [randomUUID(), session_id, role, JSON.stringify(content)] });
  };
}

const app = fastify();
await KINDS[process.argv[2]].serve(app);
const url = await app.listen({ port: 0, host: '127.0.0.1' });
console.error(`API  ${url}`);
for (const signal of ['SIGTERM', 'SIGINT', 'disconnect']) process.once(signal, () => process.exit(0));
