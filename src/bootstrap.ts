import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { Logger } from 'nestjs-pino';
import type { AerieOptions } from './aerie.module.js';
import { AppModule } from './app.module.js';
import { Config, loadConfig } from './platform/config/config.js';
import { errorBody } from './platform/http/error.filter.js';
import { AerieError } from './platform/http/errors.js';
import { checkListener } from './platform/http/listener-guard.js';
import { openApiDocument } from './platform/http/openapi.js';
import { requestId } from './platform/http/request-context.js';
import { RouteTable } from './platform/http/route-table.js';
import { ServiceLogger } from './platform/logging/service-logger.js';

/** Answers of the API describe one caller's data at one moment. */
const NO_STORE = 'no-store';

/** The application with its listener rules, not listening yet. */
export async function createApp(options: AerieOptions = {}): Promise<NestFastifyApplication> {
  const config = options.config ?? loadConfig();
  const routes = new RouteTable();
  const adapter = new FastifyAdapter({
    bodyLimit: config.http.body_limit,
    genReqId: requestId,
    requestIdHeader: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    forceCloseConnections: true,
  });
  guardListener(adapter, config, routes);
  const app = await NestFactory.create<NestFastifyApplication>(
    AppModule.forRoot({ ...options, config }, routes),
    adapter,
    {
      bufferLogs: true,
      abortOnError: false,
    },
  );
  app.useLogger(new ServiceLogger(app.get(Logger)));
  app.flushLogs();
  if (config.http.cors_origins.length > 0) {
    app.enableCors({
      origin: config.http.cors_origins.includes('*') ? true : config.http.cors_origins,
      credentials: true,
      exposedHeaders: ['x-request-id', 'retry-after'],
    });
  }
  serveDocs(app, config);
  return app;
}

function guardListener(adapter: FastifyAdapter, config: Config, routes: RouteTable): void {
  const instance = adapter.getInstance();
  routes.watch(instance);
  instance.addHook('onRequest', (request, reply, done) => {
    void reply
      .header('x-request-id', request.id)
      .header('cache-control', NO_STORE)
      .header('x-content-type-options', 'nosniff');
    try {
      checkListener(config.http, request);
      done();
    } catch (error) {
      if (!(error instanceof AerieError)) return done(error as Error);
      void reply.code(error.status).header('content-type', 'application/json; charset=utf-8');
      void reply.send(JSON.stringify(errorBody(error, request.id)));
    }
  });
}

function serveDocs(app: NestFastifyApplication, config: Config): void {
  SwaggerModule.setup('docs', app, () => openApiDocument(app, config), {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: config.app.name,
  });
}
