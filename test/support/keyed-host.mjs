// A host application around the built service, with a credential type that shows which key it was given, and asks a server if it has one.
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';

// Built by the launcher before this runs; not there when the sources are checked.
const built = (path) => import(join(import.meta.dirname, '../../dist/src', path));
const { createApp } = await built('bootstrap.js');
const { loadConfig } = await built('platform/config/config.js');
const { ModelError } = await built('core/models/chat-model.js');

const PARAMETERS = { type: 'object', properties: {}, required: [] };
const secret = z.string().min(1).meta({ format: 'password', writeOnly: true });
const CLASSES = { 401: 'authentication', 403: 'permission', 429: 'rate_limit' };

/** Fails as provider packages do: with all that the server said. */
async function ask({ api_key, passphrase, base_url }, { fetch }, signal) {
  const headers = { authorization: `Bearer ${api_key}`, ...(passphrase && { 'x-passphrase': passphrase }) };
  const response = await fetch(base_url, { method: 'POST', headers, signal });
  const text = await response.text();
  if (response.ok) return;
  const said = `HTTP ${response.status}: ${text} ${JSON.stringify([...response.headers])}`;
  throw new ModelError(CLASSES[response.status] ?? 'upstream', said, { cause: new Error(said) });
}

const keyedType = {
  type: 'keyed_credential',
  title: 'Keyed',
  schema: z.strictObject({
    type: z.literal('keyed_credential'),
    name: z.string().max(256).default(''),
    api_key: secret,
    passphrase: secret.nullable().optional(),
    base_url: z.url().optional(),
    region: z.string().optional(),
  }),
  models: { parameters: PARAMETERS, chat: [], embedding: [], tts: [] },
  allowsUnlistedModels: true,
  createChatModel: (data, { name }, access) => ({
    provider: 'keyed',
    name,
    async *stream({ signal }) {
      if (data.base_url) await ask(data, access, signal);
      const fingerprint = createHash('sha256').update(data.api_key).digest('hex').slice(0, 12);
      yield { type: 'text_start', id: '0' };
      yield { type: 'text_delta', id: '0', delta: `key ${fingerprint}` };
      yield { type: 'text_end', id: '0' };
      const usage = { input_tokens: 1, output_tokens: 1, cache_input_tokens: 0, cache_creation_input_tokens: 0, reasoning_tokens: 0 };
      yield { type: 'finish', usage };
    },
  }),
  verify: async (data, access, signal) => {
    if (data.base_url) await ask(data, access, signal);
  },
};

/** There is nobody to ask about it. */
const muteType = {
  ...keyedType,
  type: 'mute_credential',
  schema: z.strictObject({ type: z.literal('mute_credential'), name: z.string().default('') }),
  verify: undefined,
};

const config = loadConfig();
const app = await createApp({ config, credentialTypes: [keyedType, muteType] });
process.on('SIGTERM', () => void app.close().then(() => process.exit(0)));
await app.listen({ host: config.http.host, port: config.http.port });
console.error(`  API      ${await app.getUrl()}`);
