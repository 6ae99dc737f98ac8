import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { createServer } from 'node:net';
import { createApp } from './bootstrap.js';
import { describeStartError } from './start-error.js';
import { Config, loadConfig, loadEnvFile } from './platform/config/config.js';

/** How long a stop may take beyond the drain before the process ends anyway. */
const STOP_GRACE_MS = 15_000;

async function main(): Promise<void> {
  loadEnvFile();
  const config = loadConfig();
  // Asked before anything is started, so that a taken port costs nothing; the listen itself may still fail.
  await checkPort(config);
  const app = await createApp({ config });
  stopOnSignals(app, config);
  try {
    await app.listen({ host: config.http.host, port: config.http.port });
  } catch (error) {
    await app.close();
    throw error;
  }
  announce(await app.getUrl(), config);
}

function stopOnSignals(app: NestFastifyApplication, config: Config): void {
  let stopping = false;
  const stop = (reason: string) => {
    if (stopping) {
      if (reason === 'SIGINT') process.exit(130);
      return;
    }
    stopping = true;
    console.error(`${config.app.name}: ${reason}, stopping (again to force)`);
    setTimeout(() => process.exit(1), config.http.shutdown_delay_ms + config.runs.drain_ms + STOP_GRACE_MS).unref();
    app.close().then(
      () => process.exit(0),
      (error: unknown) => {
        console.error(error);
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => stop(signal));
  // The launcher holds an IPC channel: when it dies, this process must not stay behind.
  process.on('disconnect', () => stop('the launcher is gone'));
}

async function checkPort({ http: { host, port } }: Config): Promise<void> {
  if (port === 0) return;
  await new Promise<void>((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen({ host, port, exclusive: true }, () => probe.close(() => resolve()));
  });
}

function announce(url: string, config: Config): void {
  const base = url.replace('[::1]', 'localhost');
  const storage = config.database.url ? 'PostgreSQL of DATABASE_URL' : `embedded PostgreSQL in ${config.data_dir}`;
  const bus = config.redis.url ? 'Redis of REDIS_URL' : 'in-process bus';
  const identity = config.auth.mode === 'header' ? ` -H 'X-User-ID: me'${secretHint(config)}` : '';
  console.error(
    [
      '',
      `${config.app.name} ${config.app.version} is ready (${storage}, ${bus})`,
      `  API      ${base}`,
      `  Swagger  ${base}/docs`,
      `  Probes   ${base}/health  ${base}/readiness  ${base}/liveness`,
      `  Try      curl${identity} ${base}/credential/schemas`,
      '',
    ].join('\n'),
  );
}

/** The secret itself does not belong on a screen. */
const secretHint = (config: Config): string =>
  config.auth.proxy_secret ? ' -H "X-Aerie-Proxy-Secret: $TRUSTED_PROXY_SECRET"' : '';

main().catch((error: unknown) => {
  console.error(`Aerie cannot start: ${describeStartError(error)}`);
  process.exit(1);
});
