import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseEnv } from 'node:util';
import { type Config, loadConfig } from './config.js';
import { ConfigError } from './config-error.js';
import { EnvSchema } from './env.schema.js';

const ROOT = join(import.meta.dirname, '..', '..', '..');
const CANARY = 'canary';

/** What an operator reads when the process does not start. */
function faultOf(env: Record<string, string>): string {
  try {
    loadConfig(env);
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message;
  }
  throw new Error('the configuration was accepted');
}

/** Everything but what depends on the version of the package. */
const withoutVersion = ({ app, ...rest }: Config) => ({ ...rest, app: { ...app, version: '' } });

describe('.env.example', () => {
  const text = readFileSync(join(ROOT, '.env.example'), 'utf8');
  const entries = [...text.matchAll(/^# (.*)\n#([A-Z_]+)=/gm)].map(([, meaning, name]) => ({ name, meaning }));

  it('names and describes exactly the variables of the schema', () => {
    const schema = Object.entries(EnvSchema.shape).map(([name, field]) => ({ name, meaning: field.description }));
    expect(entries).toEqual(schema);
  });

  it('changes nothing when every line is put in force', () => {
    const env = parseEnv(text.replace(/^#(?=[A-Z_]+=)/gm, ''));
    expect(Object.keys(env)).toHaveLength(Object.keys(EnvSchema.shape).length);
    expect(withoutVersion(loadConfig(env))).toEqual(withoutVersion(loadConfig({})));
  });
});

describe('the README', () => {
  it('has a row with the default of every variable', () => {
    const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
    const rows = [...readme.matchAll(/^\| `([A-Z_]+)` +\| (?:`(.*?)`|–) +\|/gm)];
    const defaults: Record<string, string | number | boolean | string[] | undefined> = EnvSchema.parse({});
    const expected = Object.keys(EnvSchema.shape).map((name) => [name, String(defaults[name] ?? '') || undefined]);
    expect(rows.map(([, name, value]) => [name, value])).toEqual(expected);
  });
});

describe('defaults', () => {
  it('are one process on loopback with embedded stores and every role', () => {
    const config = loadConfig({});
    expect(config.http).toEqual({
      host: '127.0.0.1',
      port: 8000,
      allowed_hosts: ['localhost', '127.0.0.1', '[::1]'],
      cors_origins: [],
      serves_api: true,
      body_limit: 10_485_760,
      shutdown_delay_ms: 0,
    });
    expect(config.auth).toMatchObject({ mode: 'header', proxy_secret: undefined });
    expect(config.database.url).toBeUndefined();
    expect(config.redis).toEqual({ url: undefined, queue_url: undefined, interrupt_url: undefined });
    expect([...config.roles]).toEqual(['api', 'worker', 'scheduler']);
    expect(config.data_dir).toBe(join(process.cwd(), '.aerie'));
    expect(config.encryption_keys).toBeUndefined();
  });

  it('take the version from package.json', () => {
    const { version } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { version: string };
    expect(loadConfig({}).app).toMatchObject({ name: 'Aerie', version });
    expect(loadConfig({ APP_VERSION: '7.7.7' }).app.version).toBe('7.7.7');
  });

  it('hold for empty values', () => {
    const empty = Object.fromEntries(Object.keys(EnvSchema.shape).map((name) => [name, '']));
    expect(loadConfig(empty)).toEqual(loadConfig({}));
  });
});

describe('Redis', () => {
  const url = 'redis://bus:6379';

  it('serves queue and interrupts too, unless they have their own', () => {
    expect(loadConfig({ REDIS_URL: url }).redis).toEqual({ url, queue_url: url, interrupt_url: url });
    const own = { QUEUE_REDIS_URL: 'redis://queue:6379', INTERRUPT_REDIS_URL: 'rediss://signals:6380' };
    expect(loadConfig({ REDIS_URL: url, ...own }).redis).toEqual({
      url,
      queue_url: own.QUEUE_REDIS_URL,
      interrupt_url: own.INTERRUPT_REDIS_URL,
    });
  });

  it('is not the bus when only the queue has one', () => {
    expect(loadConfig({ QUEUE_REDIS_URL: url }).redis).toEqual({
      url: undefined,
      queue_url: url,
      interrupt_url: undefined,
    });
  });
});

describe('lists', () => {
  it('are comma separated, blanks and gaps do not count', () => {
    const config = loadConfig({ CORS_ORIGINS: ' https://a.example ,, https://b.example', AERIE_ROLES: 'worker,' });
    expect(config.http.cors_origins).toEqual(['https://a.example', 'https://b.example']);
    expect(config.has('worker')).toBe(true);
    expect(config.has('api')).toBe(false);
  });

  it('of keys are kept in order', () => {
    const keys = [1, 2].map((byte) => Buffer.alloc(32, byte).toString('base64'));
    expect(loadConfig({ AERIE_ENCRYPTION_KEYS: keys.join(',') }).encryption_keys).toEqual(keys);
  });
});

describe('a wrong value stops the start and names its variable', () => {
  it.each([
    ['PORT', '70000'],
    ['PORT', 'eighty'],
    ['AERIE_ROLES', 'api,cook'],
    ['AERIE_ROLES', ','],
    ['AUTH_MODE', 'none'],
    ['LOG_LEVEL', 'loud'],
    ['AERIE_INSECURE_HEADER_AUTH', 'perhaps'],
    ['AERIE_LEASE_SECONDS', '1'],
    ['AERIE_DATABASE_POOL', '2.5'],
  ])('%s=%s', (name, value) => {
    const fault = faultOf({ [name]: value });
    expect(fault).toMatch(new RegExp(`^${name}: .`));
    expect(fault).toContain(JSON.stringify(value));
    expect(fault).not.toContain('\n');
  });

  it.each([
    ['DATABASE_URL', `mysql://user:${CANARY}@db/app`],
    ['DATABASE_URL', CANARY],
    ['REDIS_URL', `http://:${CANARY}@bus:6379`],
    ['QUEUE_REDIS_URL', CANARY],
    ['INTERRUPT_REDIS_URL', CANARY],
    ['JWT_JWKS_URL', `ftp://${CANARY}.example/keys`],
    ['TRUSTED_PROXY_SECRET', CANARY],
    ['AERIE_ENCRYPTION_KEYS', CANARY],
    ['AERIE_ENCRYPTION_KEYS', `${Buffer.alloc(32).toString('base64')},${CANARY}`],
  ])('%s, without telling what it was', (name, value) => {
    const fault = faultOf({ [name]: value });
    expect(fault).toMatch(new RegExp(`^${name}: .`));
    expect(fault).not.toContain(CANARY);
  });

  it('all wrong ones are named at once', () => {
    const lines = faultOf({ PORT: 'x', LOG_LEVEL: 'x', DATABASE_URL: 'x' }).split('\n');
    expect(lines.map((line) => line.split(':', 1)[0])).toEqual(['PORT', 'DATABASE_URL', 'LOG_LEVEL']);
  });
});

describe('beyond loopback', () => {
  const HOST = '10.1.2.3';
  const TRUSTED_PROXY_SECRET = 'at-least-16-characters';

  it.each(['localhost', '127.0.0.1', '127.8.9.10', '::1'])('%s is not beyond', (host) => {
    expect(loadConfig({ HOST: host }).http.allowed_hosts).toEqual(['localhost', '127.0.0.1', '[::1]']);
    expect(loadConfig({ HOST: host, AUTH_MODE: 'open' }).auth.mode).toBe('open');
  });

  it('headers are believed only with a secret, or when told to be insecure', () => {
    expect(faultOf({ HOST })).toMatch(/^TRUSTED_PROXY_SECRET: required/);
    expect(faultOf({ HOST, AERIE_INSECURE_HEADER_AUTH: 'false' })).toMatch(/^TRUSTED_PROXY_SECRET: required/);
    expect(loadConfig({ HOST, TRUSTED_PROXY_SECRET }).auth.proxy_secret).toBe(TRUSTED_PROXY_SECRET);
    expect(loadConfig({ HOST, AERIE_INSECURE_HEADER_AUTH: '1' }).auth.proxy_secret).toBeUndefined();
  });

  it('open is refused, whatever else is set', () => {
    const env = { HOST, AUTH_MODE: 'open', TRUSTED_PROXY_SECRET, AERIE_INSECURE_HEADER_AUTH: '1' };
    expect(faultOf(env)).toMatch(/^AUTH_MODE: open is for loopback only/);
  });

  it.each(['0.0.0.0', '::'])('%s needs the names clients use', (host) => {
    expect(faultOf({ HOST: host, TRUSTED_PROXY_SECRET })).toMatch(/^ALLOWED_HOSTS: /);
    const config = loadConfig({ HOST: host, TRUSTED_PROXY_SECRET, ALLOWED_HOSTS: 'api.example,*.inner.example' });
    expect(config.http.allowed_hosts).toEqual(['api.example', '*.inner.example']);
  });

  it.each([
    ['10.1.2.3', '10.1.2.3'],
    ['fd00::7', '[fd00::7]'],
    ['aerie.example', 'aerie.example'],
  ])('%s is a name of its own', (host, name) => {
    const { allowed_hosts } = loadConfig({ HOST: host, TRUSTED_PROXY_SECRET }).http;
    expect(allowed_hosts).toEqual(['localhost', '127.0.0.1', '[::1]', name]);
  });
});

describe('jwt mode', () => {
  const complete = {
    AUTH_MODE: 'jwt',
    JWT_JWKS_URL: 'https://id.example/keys',
    JWT_ISSUER: 'https://id.example',
    JWT_AUDIENCE: 'aerie,other',
  };

  it.each(['JWT_JWKS_URL', 'JWT_ISSUER', 'JWT_AUDIENCE'])('needs %s', (name) => {
    expect(faultOf({ ...complete, [name]: '' })).toBe(`${name}: required when AUTH_MODE=jwt`);
  });

  it('needs an audience, not only a comma', () => {
    expect(faultOf({ ...complete, JWT_AUDIENCE: ',' })).toMatch(/^JWT_AUDIENCE: must name at least one/);
  });

  it('listens beyond loopback without a secret of a gateway', () => {
    const { auth } = loadConfig({ ...complete, HOST: '10.1.2.3' });
    expect(auth).toEqual({
      mode: 'jwt',
      proxy_secret: undefined,
      jwt: {
        issuer: complete.JWT_ISSUER,
        audience: ['aerie', 'other'],
        jwks_url: complete.JWT_JWKS_URL,
        user_claim: 'sub',
        tenant_claim: undefined,
        scopes_claim: 'scope',
      },
    });
  });
});
