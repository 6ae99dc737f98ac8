import { userInfo } from 'node:os';
import { z } from 'zod';
import { ConfigError } from './config-error.js';

/** What the terminal client reads of the environment. */
const CliEnv = z.object({
  AERIE_URL: z
    .url({ protocol: /^https?$/, error: 'must be a http:// or https:// URL' })
    .default('http://127.0.0.1:8000')
    .describe('Where the service is'),
  AERIE_USER: z
    .string()
    .regex(/^[\x21-\x7e]+$/, 'must be plain text without spaces')
    .default(osUser)
    .describe('Who is talking to it; default the name of the account'),
});

export interface CliConfig {
  readonly url: string;
  readonly user: string;
}

/** Reads and checks what the terminal client is told by the environment, or instead of it; throws `ConfigError` like the service's. */
export function cliConfig(
  given: { url?: string } = {},
  source: Record<string, string | undefined> = process.env,
): CliConfig {
  const parsed = CliEnv.safeParse({
    AERIE_URL: given.url ?? (source.AERIE_URL || undefined),
    AERIE_USER: source.AERIE_USER || undefined,
  });
  if (parsed.success) return { url: parsed.data.AERIE_URL, user: parsed.data.AERIE_USER };
  throw new ConfigError(parsed.error.issues.map((issue) => `${String(issue.path[0])}: ${issue.message}`).join('\n'));
}

/** An account without an entry in the system's user database, as in a container, has no name. */
function osUser(): string {
  try {
    return userInfo().username;
  } catch (error) {
    if (error instanceof Error && 'code' in error) return 'me';
    throw error;
  }
}
