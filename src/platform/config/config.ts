import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { isIP } from 'node:net';
import { z } from 'zod';
import { ConfigError } from './config-error.js';
import { EnvSchema, type Env, type Role } from './env.schema.js';
import { type OperatorCredentialEntry, readOperatorCredentials } from './operator-credentials.js';

/** The validated configuration of one process, as structure. Injected by its class; nothing else reads the environment. */
export class Config {
  readonly app: { name: string; description: string; version: string };
  readonly http: {
    host: string;
    port: number;
    allowed_hosts: string[];
    cors_origins: string[];
    serves_api: boolean;
    body_limit: number;
    shutdown_delay_ms: number;
  };
  readonly auth: {
    mode: Env['AUTH_MODE'];
    proxy_secret: string | undefined;
    jwt: {
      issuer?: string;
      audience?: string[];
      jwks_url?: string;
      user_claim: string;
      tenant_claim?: string;
      scopes_claim: string;
    };
  };
  readonly database: { url: string | undefined; pool: number };
  readonly redis: { url: string | undefined; queue_url: string | undefined; interrupt_url: string | undefined };
  readonly data_dir: string;
  readonly encryption_keys: string[] | undefined;
  readonly encryption_keys_file: string | undefined;
  readonly log_level: Env['LOG_LEVEL'];
  readonly roles: ReadonlySet<Role>;
  readonly runs: {
    concurrency: number;
    drain_ms: number;
    lease_ms: number;
    reconcile_ms: number;
    max_attempts: number;
    idle_ms: number;
    work_ms: number;
    stop_ms: number;
    wait_ms: number;
    max_pending: number;
    approval_ttl_ms: number;
    approval_sweep_ms: number;
    context_messages: number;
    model_retries: number;
    tool_timeout_ms: number;
  };
  readonly offload: { max_bytes: number };
  readonly egress: { allow: readonly string[]; connections: number };
  readonly events: { max_entries: number; ttl_seconds: number };
  readonly streams: { buffer_bytes: number; heartbeat_ms: number; reauth_ms: number; max_per_tenant: number };

  constructor(
    env: Env,
    /** Holds secrets in the clear. */
    readonly operator_credentials: readonly OperatorCredentialEntry[] = [],
  ) {
    this.app = { name: env.APP_NAME, description: env.APP_DESCRIPTION, version: env.APP_VERSION ?? packageVersion() };
    this.http = {
      host: env.HOST,
      port: env.PORT,
      allowed_hosts: allowedHosts(env),
      cors_origins: env.CORS_ORIGINS,
      serves_api: env.AERIE_ROLES.includes('api'),
      body_limit: env.AERIE_BODY_LIMIT,
      shutdown_delay_ms: env.AERIE_SHUTDOWN_DELAY_SECONDS * 1000,
    };
    checkAuth(env);
    this.auth = {
      mode: env.AUTH_MODE,
      proxy_secret: env.TRUSTED_PROXY_SECRET,
      jwt: {
        issuer: env.JWT_ISSUER,
        audience: env.JWT_AUDIENCE,
        jwks_url: env.JWT_JWKS_URL,
        user_claim: env.JWT_USER_CLAIM,
        tenant_claim: env.JWT_TENANT_CLAIM,
        scopes_claim: env.JWT_SCOPES_CLAIM,
      },
    };
    this.database = { url: env.DATABASE_URL, pool: env.AERIE_DATABASE_POOL };
    this.redis = {
      url: env.REDIS_URL,
      queue_url: env.QUEUE_REDIS_URL ?? env.REDIS_URL,
      interrupt_url: env.INTERRUPT_REDIS_URL ?? env.REDIS_URL,
    };
    this.data_dir = resolve(env.AERIE_DATA_DIR);
    if (env.AERIE_ENCRYPTION_KEYS && env.AERIE_ENCRYPTION_KEYS_FILE) {
      throw new ConfigError('AERIE_ENCRYPTION_KEYS_FILE: AERIE_ENCRYPTION_KEYS is set too; choose one');
    }
    this.encryption_keys = env.AERIE_ENCRYPTION_KEYS;
    this.encryption_keys_file = env.AERIE_ENCRYPTION_KEYS_FILE;
    this.log_level = env.LOG_LEVEL;
    this.roles = new Set(env.AERIE_ROLES);
    this.runs = {
      concurrency: env.AERIE_WORKER_CONCURRENCY,
      drain_ms: env.AERIE_DRAIN_SECONDS * 1000,
      lease_ms: env.AERIE_LEASE_SECONDS * 1000,
      reconcile_ms: env.AERIE_RECONCILE_SECONDS * 1000,
      max_attempts: env.AERIE_RUN_MAX_ATTEMPTS,
      idle_ms: env.AERIE_RUN_MAX_IDLE_SECONDS * 1000,
      work_ms: env.AERIE_RUN_MAX_SECONDS * 1000,
      stop_ms: env.AERIE_STOP_SECONDS * 1000,
      wait_ms: env.AERIE_WAIT_SECONDS * 1000,
      max_pending: env.AERIE_MAX_PENDING_INPUTS,
      approval_ttl_ms: env.AERIE_APPROVAL_TTL_SECONDS * 1000,
      approval_sweep_ms: env.AERIE_APPROVAL_SWEEP_SECONDS * 1000,
      context_messages: env.AERIE_CONTEXT_MAX_MESSAGES,
      model_retries: env.AERIE_MODEL_MAX_RETRIES,
      tool_timeout_ms: env.AERIE_TOOL_TIMEOUT_SECONDS * 1000,
    };
    this.offload = { max_bytes: env.AERIE_OFFLOAD_MAX_BYTES };
    // Every run at work can have a call under way to the same server.
    this.egress = { allow: env.AERIE_EGRESS_ALLOW, connections: Math.max(64, env.AERIE_WORKER_CONCURRENCY) };
    this.events = { max_entries: env.AERIE_EVENT_LOG_MAX_ENTRIES, ttl_seconds: env.AERIE_EVENT_LOG_TTL_SECONDS };
    this.streams = {
      buffer_bytes: env.AERIE_STREAM_BUFFER_BYTES,
      heartbeat_ms: env.AERIE_STREAM_HEARTBEAT_SECONDS * 1000,
      reauth_ms: env.AERIE_STREAM_REAUTH_SECONDS * 1000,
      max_per_tenant: env.AERIE_MAX_STREAMS_PER_TENANT,
    };
  }

  has(role: Role): boolean {
    return this.roles.has(role);
  }
}

/** Reads and checks the environment; throws `ConfigError` with one line per wrong variable. */
export function loadConfig(source: Record<string, string | undefined> = process.env): Config {
  const present = Object.fromEntries(Object.entries(source).filter(([, value]) => value !== undefined && value !== ''));
  const parsed = EnvSchema.safeParse(present);
  if (!parsed.success) throw new ConfigError(describe(parsed.error, present));
  return new Config(parsed.data, readOperatorCredentials(parsed.data, present));
}

/** Adds the variables of a `.env` file in the working folder; the environment itself wins. */
export function loadEnvFile(path = '.env'): void {
  if (existsSync(path)) process.loadEnvFile(path);
}

function describe(error: z.ZodError, source: Record<string, string | undefined>): string {
  return error.issues
    .map((issue) => {
      const variable = String(issue.path[0]);
      const value = /SECRET|KEYS|URL|CREDENTIALS/.test(variable) ? '' : ` (is ${JSON.stringify(source[variable])})`;
      return `${variable}: ${issue.message}${value}`;
    })
    .join('\n');
}

export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'));
}

function allowedHosts(env: Env): string[] {
  if (env.ALLOWED_HOSTS) return env.ALLOWED_HOSTS;
  const loopback = ['localhost', '127.0.0.1', '[::1]'];
  if (isLoopback(env.HOST)) return loopback;
  if (env.HOST === '0.0.0.0' || env.HOST === '::') {
    throw new ConfigError(
      'ALLOWED_HOSTS: HOST listens on every address, so name the host names clients use (or * when a gateway checks them)',
    );
  }
  return [...loopback, isIP(env.HOST) === 6 ? `[${env.HOST}]` : env.HOST];
}

function checkAuth(env: Env): void {
  const loopback = isLoopback(env.HOST);
  if (env.AUTH_MODE === 'open' && !loopback) {
    throw new ConfigError('AUTH_MODE: open is for loopback only; choose header or jwt, or HOST=127.0.0.1');
  }
  if (env.AUTH_MODE === 'header' && !loopback && !env.TRUSTED_PROXY_SECRET && !env.AERIE_INSECURE_HEADER_AUTH) {
    throw new ConfigError(
      'TRUSTED_PROXY_SECRET: required when AUTH_MODE=header listens beyond loopback (the gateway sends it in X-Aerie-Proxy-Secret)',
    );
  }
  if (env.AUTH_MODE === 'jwt') {
    if (!env.JWT_JWKS_URL) throw new ConfigError('JWT_JWKS_URL: required when AUTH_MODE=jwt');
    if (!env.JWT_ISSUER) throw new ConfigError('JWT_ISSUER: required when AUTH_MODE=jwt');
    if (!env.JWT_AUDIENCE?.length) throw new ConfigError('JWT_AUDIENCE: required when AUTH_MODE=jwt');
  }
}

function packageVersion(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const file = join(folder, 'package.json');
    if (existsSync(file))
      return z.object({ version: z.string() }).parse(JSON.parse(readFileSync(file, 'utf8'))).version;
    if (folder === dirname(folder)) throw new ConfigError('APP_VERSION: no package.json found to take a default from');
  }
}
