// A host application around the built service: the service with tools whose every execution is on record in a database of the tests.
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import pg from 'pg';

// Built by the launcher before this runs; not there when the sources are checked.
const { createApp } = await import(join(import.meta.dirname, '../../dist/src/bootstrap.js'));
const { loadConfig } = await import(join(import.meta.dirname, '../../dist/src/platform/config/config.js'));

const STOP_GRACE_MS = 15_000;
const INPUT_SCHEMA = {
  type: 'object',
  properties: { ms: { type: 'number' }, tag: { type: 'string' } },
  required: ['ms', 'tag'],
};

const ledger = new pg.Pool({ connectionString: process.env.CHAOS_LEDGER_URL, max: 4 });
ledger.on('error', (error) => console.error('The ledger of the tests was lost', error.message));

/** One row per execution, before anything else happens. */
async function begin(tool, tool_call_id, tag) {
  const id = randomUUID();
  await ledger.query('INSERT INTO executions (id, tool, tool_call_id, tag, pid) VALUES ($1, $2, $3, $4, $5)', [
    id,
    tool,
    tool_call_id,
    tag,
    process.pid,
  ]);
  return id;
}

const end = (id) => ledger.query('UPDATE executions SET ended_at = clock_timestamp() WHERE id = $1', [id]);

function tool(name, traits, run) {
  return {
    name,
    description: 'Puts on record that it ran, and takes its time.',
    input_schema: INPUT_SCHEMA,
    is_read_only: false,
    is_concurrency_safe: false,
    is_idempotent: false,
    ...traits,
    run,
  };
}

const recording = (name, traits = {}) =>
  tool(name, traits, async function* ({ ms, tag }, { tool_call_id, signal }) {
    const id = await begin(name, tool_call_id, tag);
    yield { type: 'text', text: `begun ${tag};` };
    await delay(ms, undefined, { signal });
    await end(id);
    yield { type: 'text', text: `done ${tag}` };
  });

const TOOLS = [
  recording('record'),
  recording('record_idempotent', { is_idempotent: true }),
  tool('external', { is_external: true }, async function* () {
    throw new Error('an external tool is not run by the service');
  }),
  // Hears nothing of its abort: what the service does about that is its own affair.
  tool('stubborn', {}, async function* ({ ms, tag }, { tool_call_id }) {
    const id = await begin('stubborn', tool_call_id, tag);
    await delay(ms);
    await end(id);
    yield { type: 'text', text: `done ${tag}` };
  }),
];

const config = loadConfig();
const app = await createApp({ config, tools: [() => TOOLS] });
let stopping = false;
const stop = () => {
  if (stopping) return;
  stopping = true;
  setTimeout(() => process.exit(1), config.runs.drain_ms + STOP_GRACE_MS).unref();
  app.close().then(
    () => process.exit(0),
    (error) => {
      console.error(error);
      process.exit(1);
    },
  );
};
process.on('SIGTERM', stop);
// The tests hold an IPC channel: when they die, nothing stays behind.
process.on('disconnect', () => process.exit(1));
await app.listen({ host: config.http.host, port: config.http.port });
process.send?.({ url: await app.getUrl() });
