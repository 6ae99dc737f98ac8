import { z } from 'zod';
import { isEgressRule } from '../egress/egress-rules.js';

const list = z.string().transform((text) =>
  text
    .split(',')
    .map((item) => item.trim())
    .filter(Boolean),
);
const names = list.pipe(z.array(z.string()).min(1, 'must name at least one'));
const flag = z.stringbool({ truthy: ['1', 'true', 'yes', 'on'], falsy: ['0', 'false', 'no', 'off', ''] });
const integer = (min: number, max: number) => z.coerce.number().int().min(min).max(max);
// Not z.url: a URL with a socket folder instead of a host is valid for PostgreSQL and for nobody else.
const databaseUrl = z.string().regex(/^postgres(ql)?:\/\/\S+$/, 'must be a postgres:// or postgresql:// URL');
const redisUrl = z.url({ protocol: /^rediss?$/, error: 'must be a redis:// or rediss:// URL' });

export const ROLES = ['api', 'worker', 'scheduler'] as const;
export type Role = (typeof ROLES)[number];

/**
 * Every variable the service reads, with its default and meaning (`describe`). `.env.example` is checked against this by a test.
 * An empty value counts as absent.
 */
export const EnvSchema = z.object({
  HOST: z.string().default('127.0.0.1').describe('Address to listen on'),
  PORT: integer(0, 65_535).default(8000).describe('Port to listen on; 0 chooses a free one'),
  DATABASE_URL: databaseUrl
    .optional()
    .describe('PostgreSQL (15 or later); absent: an embedded PostgreSQL in AERIE_DATA_DIR'),
  REDIS_URL: redisUrl
    .optional()
    .describe('Redis (6.2 or later) for events, doorbells and signals; absent: the in-process bus, one node only'),
  QUEUE_REDIS_URL: redisUrl
    .optional()
    .describe('Redis of the job queue; default REDIS_URL, without both the queue lives in PostgreSQL'),
  INTERRUPT_REDIS_URL: redisUrl.optional().describe('Redis of the interrupt signals; default REDIS_URL'),
  AERIE_DATA_DIR: z.string().default('.aerie').describe('Folder of the embedded database and the generated key file'),
  AERIE_ENCRYPTION_KEYS: list
    .pipe(z.array(z.string().regex(/^[A-Za-z0-9+/_-]{43}=?$/, 'each key must be 32 bytes in base64')).min(1))
    .optional()
    .describe(
      'Master keys of stored secrets, 32 bytes in base64, comma separated, the first one encrypts; absent: a key file in AERIE_DATA_DIR',
    ),
  AERIE_ENCRYPTION_KEYS_FILE: z
    .string()
    .optional()
    .describe('File with the same, parted by white space, in place of AERIE_ENCRYPTION_KEYS: a mounted secret'),
  AERIE_CREDENTIALS: z
    .string()
    .optional()
    .describe('Credentials of the operator that tenants may use, a JSON list; see docs/credentials.md'),
  AERIE_CREDENTIALS_FILE: z.string().optional().describe('File with more of them, JSON or YAML'),
  AERIE_ROLES: list
    .pipe(z.array(z.enum(ROLES)).min(1))
    .default([...ROLES])
    .describe('What this process does: api, worker, scheduler'),
  AUTH_MODE: z
    .enum(['header', 'jwt', 'open'])
    .default('header')
    .describe('Who says who the caller is: header (trusted gateway), jwt, or open (loopback only)'),
  TRUSTED_PROXY_SECRET: z
    .string()
    .min(16)
    .optional()
    .describe('header mode: the gateway must send this in X-Aerie-Proxy-Secret'),
  AERIE_INSECURE_HEADER_AUTH: flag
    .default(false)
    .describe('header mode beyond loopback without TRUSTED_PROXY_SECRET; anyone who can connect can be anyone'),
  JWT_ISSUER: z.string().optional().describe('jwt mode: required issuer'),
  JWT_AUDIENCE: names.optional().describe('jwt mode: accepted audiences'),
  JWT_JWKS_URL: z
    .url({ protocol: /^https?$/ })
    .optional()
    .describe('jwt mode: where the signing keys are'),
  JWT_USER_CLAIM: z.string().default('sub').describe('jwt mode: claim that names the user'),
  JWT_TENANT_CLAIM: z
    .string()
    .optional()
    .describe('jwt mode: claim that names the tenant; absent: everyone is in tenant "default"'),
  JWT_SCOPES_CLAIM: z
    .string()
    .default('scope')
    .describe('jwt mode: claim with scopes (text or array); a token without it may do all a user may'),
  ALLOWED_HOSTS: names
    .optional()
    .describe('Host names requests may be addressed to (*.suffix and * allowed); default: loopback names and HOST'),
  CORS_ORIGINS: list.default([]).describe('Browser origins that may call the API; default none'),
  LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'])
    .default('info')
    .describe('Least severe level that is logged'),
  APP_NAME: z.string().default('Aerie').describe('Name of the service, in Swagger and at /'),
  APP_DESCRIPTION: z
    .string()
    .default('Runs AI agents in production: durable runs, resumable streams, one log for every protocol.')
    .describe('Description of the service, in Swagger and at /'),
  APP_VERSION: z.string().optional().describe('Version in Swagger, / and /health; default the version of the package'),
  AERIE_BODY_LIMIT: integer(1024, 1_073_741_824).default(10_485_760).describe('Largest request body in bytes'),
  AERIE_DATABASE_POOL: integer(2, 200).default(10).describe('Connections to PostgreSQL per process'),
  AERIE_WORKER_CONCURRENCY: integer(1, 10_000).default(200).describe('Runs this process works on at once'),
  AERIE_SHUTDOWN_DELAY_SECONDS: integer(0, 300)
    .default(0)
    .describe(
      'How long a stopping process goes on serving while its readiness says no, so that load balancers turn away from it',
    ),
  AERIE_DRAIN_SECONDS: integer(0, 3600)
    .default(20)
    .describe('How long a stopping process waits for running tools; all other work is handed over at once'),
  AERIE_LEASE_SECONDS: integer(3, 600)
    .default(15)
    .describe('How long a session stays with a process that no longer answers'),
  AERIE_RECONCILE_SECONDS: integer(0, 3600)
    .default(2)
    .describe('How often waiting sessions are looked for although no doorbell rang; 0 never'),
  AERIE_RUN_MAX_ATTEMPTS: integer(1, 1000)
    .default(5)
    .describe(
      'Holders a run may lose by a crash before it fails; a rolling restart or an outage of PostgreSQL does not count',
    ),
  AERIE_RUN_MAX_IDLE_SECONDS: integer(1, 604_800)
    .default(1800)
    .describe('How long a run may go without an event before it fails'),
  AERIE_RUN_MAX_SECONDS: integer(1, 2_592_000)
    .default(86_400)
    .describe(
      'How long a run may work, over all attempts, before it fails; time spent waiting for an answer does not count',
    ),
  AERIE_STOP_SECONDS: integer(1, 600)
    .default(10)
    .describe('How long an agent that was told to stop may take before it is cut off'),
  AERIE_WAIT_SECONDS: integer(1, 3600)
    .default(60)
    .describe('How long POST /chat?wait=true waits at most for the end of its run'),
  AERIE_MAX_PENDING_INPUTS: integer(1, 100_000)
    .default(100)
    .describe('Messages that may wait in one session; more are refused'),
  AERIE_APPROVAL_TTL_SECONDS: integer(1, 31_536_000)
    .default(604_800)
    .describe('How long a call waits for its confirmation or result; then it is turned down'),
  AERIE_APPROVAL_SWEEP_SECONDS: integer(0, 3600)
    .default(10)
    .describe('Interval of the search for calls that nobody answered in time; 0: this process does not search'),
  AERIE_CONTEXT_MAX_MESSAGES: integer(2, 100_000)
    .default(400)
    .describe('Newest messages of a session that are shown to the model, at most'),
  AERIE_MODEL_MAX_RETRIES: integer(0, 10).default(2).describe('Retries of a model call before its first token'),
  AERIE_OFFLOAD_MAX_BYTES: integer(0, 1_099_511_627_776)
    .default(104_857_600)
    .describe('Bytes a session may put aside: long tool results, compressed messages, files'),
  AERIE_TOOL_TIMEOUT_SECONDS: integer(1, 86_400)
    .default(600)
    .describe('How long one tool call may take, unless the tool says so itself'),
  AERIE_EGRESS_ALLOW: list
    .pipe(z.array(z.string().refine(isEgressRule, 'each must be a host, *.suffix, IP, host:port, network or *')))
    .default([])
    .describe(
      'Hosts that credentials may name although they are not public: names, *.suffix, IPs (each also with :port), networks, or *',
    ),
  AERIE_EVENT_LOG_MAX_ENTRIES: integer(16, 1_000_000)
    .default(2048)
    .describe('Batches of events kept per session for replay'),
  AERIE_EVENT_LOG_TTL_SECONDS: integer(60, 31_536_000)
    .default(86_400)
    .describe('How long the events of an idle session stay replayable'),
  AERIE_STREAM_BUFFER_BYTES: integer(65_536, 268_435_456)
    .default(4_194_304)
    .describe('Unread bytes after which a slow stream is cut off (it resumes by its cursor)'),
  AERIE_STREAM_REAUTH_SECONDS: integer(1, 86_400)
    .default(300)
    .describe(
      'How often the identity behind an open stream is checked again; an expiring token is checked when it expires',
    ),
  AERIE_STREAM_HEARTBEAT_SECONDS: integer(1, 3600).default(15).describe('Interval of comment frames on an idle stream'),
  AERIE_MAX_STREAMS_PER_TENANT: integer(1, 1_000_000)
    .default(10_000)
    .describe('Open streams per tenant and process; more are refused'),
});
export type Env = z.infer<typeof EnvSchema>;
