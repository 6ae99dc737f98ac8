// A host application around the built service, with tools, groups of tools and middleware of its own.
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

// Built by the launcher before this runs; not there when the sources are checked.
const built = (path) => import(join(import.meta.dirname, '../../dist/src', path));
const { createApp } = await built('bootstrap.js');
const { loadConfig } = await built('platform/config/config.js');

const schema = (properties = {}) => ({ type: 'object', properties, required: Object.keys(properties) });
const text = { type: 'string' };

function tool(name, input_schema, run, traits = {}) {
  return {
    name,
    description: `The tool ${name}.`,
    input_schema,
    is_read_only: false,
    is_concurrency_safe: false,
    is_idempotent: false,
    ...traits,
    run,
  };
}

/** What each session has noted; a note is taken once each time the tool runs. */
const notes = new Map();

function toolsOf({ principal, session_id }) {
  const noted = notes.get(session_id) ?? notes.set(session_id, []).get(session_id);
  return [
    tool('write_note', schema({ text }), async function* (input) {
      noted.push(input.text);
      yield { type: 'text', text: `noted ${input.text}` };
    }),
    tool(
      'read_notes',
      schema(),
      async function* () {
        yield { type: 'text', text: JSON.stringify(noted) };
      },
      { is_read_only: true, is_concurrency_safe: true },
    ),
    tool(
      'dawdle',
      schema(),
      async function* (_, { signal }) {
        yield { type: 'text', text: 'begun;' };
        await delay(60_000, undefined, { signal });
      },
      { is_read_only: true, timeout_ms: 100 },
    ),
    tool(
      'publish',
      schema(),
      async function* () {
        yield { type: 'text', text: `published for ${principal.user_id}` };
      },
      { is_read_only: true, group: 'publishing' },
    ),
    {
      name: 'pick_colour',
      description: 'The client picks.',
      input_schema: schema(),
      is_read_only: true,
      is_concurrency_safe: true,
      is_idempotent: false,
      is_external: true,
    },
  ];
}

const groups = [{ name: 'publishing', description: 'Tools that publish.', active: false }];

function middlewareOf({ principal }) {
  return [
    {
      name: 'outer',
      async *onReply(scope, next) {
        yield scope.custom('reply_seen', { by: 'outer', user: principal.user_id });
        yield* next();
      },
      onSystemPrompt: (_, prompt) => `${prompt} The user is ${principal.user_id}.`,
      onCheckPermission: async ({ call, input }, next) => {
        if (call.name === 'write_note' && input.text === 'secret') {
          const decision_reason = { type: 'safety', code: 'secret' };
          return {
            behavior: 'deny',
            message: 'No secrets.',
            decision_reason,
            suggested_rules: [],
            bypass_immune: false,
          };
        }
        return next();
      },
    },
    {
      name: 'inner',
      async *onActing({ call }, next) {
        for await (const chunk of next()) {
          yield call.name === 'read_notes' && chunk.type === 'text'
            ? { ...chunk, text: `notes: ${chunk.text}` }
            : chunk;
        }
      },
      listTools: () => [
        tool(
          'whoami',
          schema(),
          async function* () {
            yield { type: 'text', text: principal.user_id };
          },
          { is_read_only: true },
        ),
      ],
    },
  ];
}

const config = loadConfig();
const app = await createApp({
  config,
  tools: [toolsOf],
  toolGroups: groups,
  middleware: [middlewareOf],
});
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
await app.listen({ host: config.http.host, port: config.http.port });
console.error(`  API      ${await app.getUrl()}`);
