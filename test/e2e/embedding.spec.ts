import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Controller, Get, type INestApplication, Module, type Type } from '@nestjs/common';
import { MetadataScanner } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { Test } from '@nestjs/testing';
import { z } from 'zod';
import { AerieModule } from '../../src/aerie.module.js';
import { Authenticator, type AuthRequest } from '../../src/auth/authenticator.js';
import { AUDITED, MissingPolicyError, PolicyAudit } from '../../src/auth/policy.audit.js';
import { Caller, Policy, Public } from '../../src/auth/policy.js';
import { Principal } from '../../src/auth/principal.js';
import { createApp } from '../../src/bootstrap.js';
import type { CredentialType } from '../../src/credentials/types/credential-type.js';
import { demoCredentialType } from '../../src/credentials/types/demo/demo.type.js';
import { loadModelCatalog } from '../../src/credentials/types/model-catalog-file.js';
import { loadConfig } from '../../src/platform/config/config.js';
import { AerieError } from '../../src/platform/http/errors.js';
import { databaseEnv } from '../support/rig.js';

/** Believes a badge: `<tenant>:<user>`, or `none` for a caller who may read agents only. */
class BadgeAuthenticator extends Authenticator {
  override async authenticate({ headers }: AuthRequest): Promise<Principal | null> {
    const badge = headers['x-badge'];
    if (typeof badge !== 'string') return null;
    if (badge === 'lost') throw new AerieError('forbidden', 'This badge was lost.');
    const [tenant = '', user = ''] = badge.split(':');
    return new Principal(tenant, user, user === 'guest' ? new Set(['agents:read']) : 'all');
  }
}

@Controller('host')
class HostController {
  @Get('forgotten')
  forgotten() {
    return { reached: true };
  }

  @Get('open')
  @Public()
  open() {
    return { reached: true };
  }

  @Get('closed')
  @Policy()
  closed(@Caller() principal: Principal) {
    return { tenant: principal.tenant_id, user: principal.user_id };
  }

  @Get('scoped')
  @Policy('runs:write')
  scoped() {
    return { reached: true };
  }
}

type Get = (url: string, badge?: string) => Promise<{ status: number; body: unknown }>;

function asker(app: NestFastifyApplication): Get {
  return async (url, badge) => {
    const headers = { host: 'localhost', ...(badge === undefined ? {} : { 'x-badge': badge }) };
    const answer = await app.inject({ method: 'GET', url, headers });
    return { status: answer.statusCode, body: answer.json() };
  };
}

describe('a host application', () => {
  let database: Awaited<ReturnType<typeof databaseEnv>>;
  let app: INestApplication;
  let get: Get;

  beforeAll(async () => {
    database = await databaseEnv();
    const config = loadConfig({ ...database.env, LOG_LEVEL: 'silent' });
    const module = await Test.createTestingModule({
      imports: [AerieModule.forRoot({ config, authenticator: new BadgeAuthenticator() })],
      controllers: [HostController],
    }).compile();
    const fastify = module.createNestApplication<NestFastifyApplication>(new FastifyAdapter(), { logger: false });
    app = await fastify.init();
    get = asker(fastify);
  }, 30_000);

  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('has its own word on who calls', async () => {
    expect(await get('/agent')).toMatchObject({ status: 401, body: { error: { code: 'unauthenticated' } } });
    expect(await get('/agent', 'lost')).toMatchObject({
      status: 403,
      body: { error: { message: 'This badge was lost.' } },
    });
    expect(await get('/agent', 'acme:alice')).toMatchObject({ status: 200, body: { agents: [], total: 0 } });
    expect(await get('/host/closed', 'acme:alice')).toEqual({ status: 200, body: { tenant: 'acme', user: 'alice' } });
  });

  it('limits what a caller may do on routes of both', async () => {
    expect((await get('/agent', 'acme:guest')).status).toBe(200);
    const refusal = (scope: string) => ({ error: { code: 'forbidden', details: { required_scope: scope } } });
    expect(await get('/credential', 'acme:guest')).toMatchObject({ status: 403, body: refusal('credentials:read') });
    expect(await get('/host/scoped', 'acme:guest')).toMatchObject({ status: 403, body: refusal('runs:write') });
    expect((await get('/host/scoped', 'acme:alice')).status).toBe(200);
  });

  it('finds its own routes closed until it says otherwise', async () => {
    for (const badge of [undefined, 'acme:alice']) {
      expect(await get('/host/forgotten', badge)).toMatchObject({
        status: 403,
        body: { error: { code: 'forbidden' } },
      });
    }
    expect(await get('/host/open')).toEqual({ status: 200, body: { reached: true } });
    expect((await get('/host/closed')).status).toBe(401);
  });
});

describe('the shipped service with an authenticator of its own', () => {
  it('asks it in place of AUTH_MODE', async () => {
    const database = await databaseEnv();
    const config = loadConfig({ ...database.env, LOG_LEVEL: 'silent' });
    const app = await createApp({ config, authenticator: new BadgeAuthenticator() });
    try {
      await app.init();
      const headers = { host: 'localhost', 'x-user-id': 'alice' };
      expect((await app.inject({ method: 'GET', url: '/agent', headers })).statusCode).toBe(401);
      expect((await asker(app)('/agent', 'acme:alice')).status).toBe(200);
    } finally {
      await app.close();
      await database.drop();
    }
  }, 30_000);
});

describe('the credential types of a host application', () => {
  const own = (name: string): CredentialType => ({
    ...demoCredentialType,
    type: name,
    schema: z.strictObject({ type: z.literal(name), name: z.string().default('') }),
    models: loadModelCatalog(file),
  });
  let folder: string;
  let file: string;
  let database: Awaited<ReturnType<typeof databaseEnv>>;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'host-'));
    file = join(folder, 'models.yaml');
    await writeFile(
      file,
      'parameters: {}\nchat_models: [{ name: our/own, label: Our own, context_size: 10, output_size: 5 }]\n',
    );
    database = await databaseEnv();
  }, 30_000);
  afterAll(async () => {
    await database.drop();
    await rm(folder, { recursive: true });
  });

  const start = (credentialTypes: CredentialType[]) =>
    createApp({ config: loadConfig({ ...database.env, LOG_LEVEL: 'silent' }), credentialTypes });

  it('stand beside the others, with their own cards', async () => {
    const app = await start([own('host_credential')]);
    try {
      await app.init();
      const get = async (url: string) => {
        const answer = await app.inject({ method: 'GET', url, headers: { host: 'localhost', 'x-user-id': 'alice' } });
        return answer.json<{
          schemas: { properties: { type: { const: string } } }[];
          models: { provider: string }[];
        }>();
      };
      const card = { provider: 'host_credential', name: 'our/own', type: 'chat_model' };
      expect(await get('/model?provider=host_credential')).toMatchObject({ total: 1, models: [card] });
      expect((await get('/model')).models.map((it) => it.provider)).toContain('host_credential');
      for (const name of ['our/own', 'our%2Fown', 'our/own/']) {
        expect(await get(`/model/host_credential/${name}`)).toMatchObject(card);
      }
      expect((await get('/credential/schemas')).schemas.at(-1)?.properties.type.const).toBe('host_credential');
    } finally {
      await app.close();
    }
  }, 30_000);

  it('stop the start when there is one of that name already', async () => {
    const starting = start([own('openai_credential')]);
    await expect(starting).rejects.toThrow('Credential type "openai_credential" is registered twice.');
  }, 30_000);
});

describe('the audit of policies', () => {
  async function start(controller: Type): Promise<void> {
    @Module({ controllers: [controller] })
    class OurModule {}
    Reflect.defineMetadata(AUDITED, true, OurModule);
    const module = await Test.createTestingModule({
      imports: [OurModule],
      providers: [MetadataScanner, PolicyAudit],
    }).compile();
    const app = module.createNestApplication(new FastifyAdapter(), { logger: false });
    try {
      await app.init();
    } finally {
      await app.close();
    }
  }

  it('stops the start and names the route that has none', async () => {
    const failure = await start(HostController).catch((error: unknown) => error);
    expect(failure).toBeInstanceOf(MissingPolicyError);
    expect((failure as Error).message).toBe('routes without a policy: HostController.forgotten');
  });

  it('takes the policy of the controller for all its routes', async () => {
    @Policy()
    @Controller('ours')
    class OursController {
      @Get()
      list() {
        return [];
      }
    }
    await expect(start(OursController)).resolves.toBeUndefined();
  });

  it('sees routes that a controller inherits', async () => {
    @Controller('heir')
    class HeirController extends HostController {}
    await expect(start(HeirController)).rejects.toThrow('HeirController.forgotten');
  });
});
