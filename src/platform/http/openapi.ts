import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import type { Config } from '../config/config.js';

/** zod to the JSON Schema of OpenAPI 3.1; schemas with a `meta.id` become components. */
function convert(schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const { $defs, ...json } = z.toJSONSchema(schema, {
    io: schemaType,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      delete jsonSchema.id;
      // zod spells formats out as long patterns, which make the document unreadable.
      if (jsonSchema.format && jsonSchema.pattern) delete jsonSchema.pattern;
    },
  });
  delete json.$schema;
  const components = { ...$defs } as Record<string, unknown>;
  const name = schema.meta()?.id;
  if (name === undefined) return { schema: json, components };
  components[name] = json;
  return { schema: { $ref: `#/components/schemas/${name}` }, components };
}

/** The OpenAPI 3.1 document of everything the application serves. */
export function openApiDocument(app: INestApplication, config: Pick<Config, 'app'>): OpenAPIObject {
  const builder = new DocumentBuilder()
    .setOpenAPIVersion('3.1.0')
    .setTitle(config.app.name)
    .setDescription(config.app.description)
    .setVersion(config.app.version)
    .addApiKey(
      { type: 'apiKey', in: 'header', name: 'X-User-ID', description: 'Set by a trusted gateway (AUTH_MODE=header)' },
      'user',
    )
    .addBearerAuth({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'AUTH_MODE=jwt' }, 'jwt');
  return SwaggerModule.createDocument(app, builder.build(), {
    standardSchemaConverter: convert,
    operationIdFactory: (controller, method) => `${controller.replace(/Controller$/, '').toLowerCase()}_${method}`,
  });
}
