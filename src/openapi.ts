import { writeFile } from 'node:fs/promises';
import { createApp } from './bootstrap.js';
import { Config, loadConfig, loadEnvFile } from './platform/config/config.js';
import { openApiDocument } from './platform/http/openapi.js';
import { describeStartError } from './start-error.js';

/** Writes the OpenAPI document of this source tree to `openapi.json`: `npm run openapi`. */
async function main(): Promise<void> {
  loadEnvFile();
  const config = loadConfig();
  const app = await createApp({ config });
  try {
    await app.init();
    const document = openApiDocument(app, app.get(Config));
    await writeFile('openapi.json', `${JSON.stringify(document, null, 2)}\n`);
    console.error('openapi.json is written.');
  } finally {
    await app.close();
  }
}

main().catch((error: unknown) => {
  console.error(`openapi.json cannot be written: ${describeStartError(error)}`);
  process.exit(1);
});
