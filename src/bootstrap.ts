import { NestFactory } from '@nestjs/core';
import { FastifyAdapter, type NestFastifyApplication } from '@nestjs/platform-fastify';
import { SwaggerModule } from '@nestjs/swagger';
import { Logger } from 'nestjs-pino';
import type { AerieOptions } from './aerie.module.js';
import { AppModule } from './app.module.js';
import { Config, loadConfig } from './platform/config/config.js';
import { addressRefusal } from './platform/http/listener.js';
import { openApiDocument } from './platform/http/openapi.js';
import { requestId } from './platform/http/request-context.js';
import { ServiceLogger } from './platform/logging/service-logger.js';

/** The application with its listener rules, not listening yet. */
export async function createApp(options: AerieOptions = {}): Promise<NestFastifyApplication> {
  const config = options.config ?? loadConfig();
  const adapter = new FastifyAdapter({
    bodyLimit: config.http.body_limit,
    genReqId: requestId,
    requestIdHeader: false,
    routerOptions: { ignoreTrailingSlash: true, maxParamLength: 512 },
    forceCloseConnections: true,
    frameworkErrors: addressRefusal(config.http),
  });
  // JSON is the only kind of body. Nest's parser would add forms, which a foreign page may send without asking first.
  adapter.getInstance().removeContentTypeParser('text/plain');
  const app = await NestFactory.create<NestFastifyApplication>(AppModule.forRoot({ ...options, config }), adapter, {
    bufferLogs: true,
    // A start that fails says why in one line (`main.ts`), not with all that the framework has gathered so far.
    autoFlushLogs: false,
    abortOnError: false,
    bodyParser: false,
  });
  app.useLogger(new ServiceLogger(app.get(Logger)));
  app.flushLogs();
  if (config.http.cors_origins.length > 0) {
    app.enableCors({
      origin: config.http.cors_origins.includes('*') ? true : config.http.cors_origins,
      methods: ['GET', 'POST', 'PATCH', 'DELETE'],
      exposedHeaders: ['x-request-id', 'retry-after', 'warning'],
    });
  }
  serveDocs(app, config);
  return app;
}

function serveDocs(app: NestFastifyApplication, config: Config): void {
  SwaggerModule.setup('docs', app, () => openApiDocument(app, config), {
    jsonDocumentUrl: 'openapi.json',
    yamlDocumentUrl: 'openapi.yaml',
    customSiteTitle: config.app.name,
  });
}
