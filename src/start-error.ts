import { MissingPolicyError } from './auth/policy.audit.js';
import { ConfigError } from './platform/config/config-error.js';
import { KeyProviderUnavailable } from './platform/crypto/key-provider.js';
import { DatabaseStartError } from './platform/database/database.module.js';
import { EmbeddedDatabaseError } from './platform/embedded/embedded-database.error.js';
import { RedisStartError } from './platform/redis/redis.js';

const EXPECTED = [ConfigError, DatabaseStartError, RedisStartError, MissingPolicyError, KeyProviderUnavailable];

/** One clear line for what an operator can mend; everything else with its stack. */
export function describeStartError(error: unknown): string {
  if (error instanceof EmbeddedDatabaseError) return `AERIE_DATA_DIR: ${error.message}`;
  if (EXPECTED.some((type) => error instanceof type)) return (error as Error).message;
  const failure = error as NodeJS.ErrnoException & { port?: number; address?: string };
  if (failure.code === 'EADDRINUSE') return `PORT: ${failure.address}:${failure.port} is taken by another process`;
  if (failure.code === 'EADDRNOTAVAIL') return `HOST: ${failure.address} is not an address of this machine`;
  if (failure.code === 'EACCES' && failure.port !== undefined)
    return `PORT: ${failure.port} may not be used by this user`;
  return failure.stack ?? String(error);
}
