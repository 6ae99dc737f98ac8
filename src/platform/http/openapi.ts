import type { INestApplication } from '@nestjs/common';
import { DocumentBuilder, type OpenAPIObject, SwaggerModule } from '@nestjs/swagger';
import { z } from 'zod';
import type { Config } from '../config/config.js';

/** Marks the form of a component that requests have, until it is known whether responses have one of that name too. */
const REQUEST_FORM = '--request';

type Schemas = Record<string, unknown>;

/** zod to the JSON Schema of OpenAPI 3.1; schemas with a `meta.id` become components. */
function convert(schema: unknown, { schemaType }: { schemaType: 'input' | 'output' }) {
  if (!(schema instanceof z.ZodType)) return undefined;
  const converted = z.toJSONSchema(schema, {
    io: schemaType,
    target: 'draft-2020-12',
    unrepresentable: 'any',
    override: ({ jsonSchema }) => {
      delete jsonSchema.id;
      // zod spells formats out as long patterns, which make the document unreadable.
      if (jsonSchema.format && jsonSchema.pattern) delete jsonSchema.pattern;
    },
  });
  const marked = schemaType === 'input' ? renameRefs(converted, (name) => name + REQUEST_FORM) : converted;
  const { $defs = {}, ...json } = marked;
  delete json.$schema;
  const suffix = schemaType === 'input' ? REQUEST_FORM : '';
  const components = Object.fromEntries(Object.entries($defs).map(([name, it]) => [name + suffix, it]));
  return { schema: json, components };
}

/**
 * A request may leave out what has a default, a response never does. Of a component that both hold, the request's form is named
 * `<Name>Input`.
 */
function nameForms(document: OpenAPIObject): OpenAPIObject {
  const schemas: Schemas = document.components?.schemas ?? {};
  const names = new Map<string, string>();
  for (const key of Object.keys(schemas).filter((it) => it.endsWith(REQUEST_FORM))) {
    const name = key.slice(0, -REQUEST_FORM.length);
    names.set(key, name in schemas ? `${name}Input` : name);
  }
  const renamed = renameRefs(document, (name) => names.get(name) ?? name);
  const entries = Object.entries(renamed.components?.schemas ?? {});
  const named = Object.fromEntries(entries.map(([key, it]) => [names.get(key) ?? key, it]));
  return { ...renamed, components: { ...renamed.components, schemas: named } };
}

function renameRefs<T>(value: T, rename: (name: string) => string): T {
  if (Array.isArray(value)) return value.map((item: unknown) => renameRefs(item, rename)) as T;
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).map(([key, it]: [string, unknown]) => {
    if (key !== '$ref' || typeof it !== 'string') return [key, renameRefs(it, rename)];
    const slash = it.lastIndexOf('/') + 1;
    return [key, it.slice(0, slash) + rename(it.slice(slash))];
  });
  return Object.fromEntries(entries) as T;
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
  const document = SwaggerModule.createDocument(app, builder.build(), {
    standardSchemaConverter: convert,
    operationIdFactory: (controller, method) => `${controller.replace(/Controller$/, '').toLowerCase()}_${method}`,
  });
  return nameForms(document);
}
