import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import { ApiClient } from './client.js';

export interface Schema {
  readonly $ref?: string;
  readonly type?: string | string[];
  readonly enum?: unknown[];
  readonly anyOf?: Schema[];
  readonly oneOf?: Schema[];
  readonly items?: Schema;
  readonly properties?: Record<string, Schema>;
  readonly required?: string[];
}

export interface Parameter {
  readonly name: string;
  readonly in: 'path' | 'query' | 'header';
  readonly required?: boolean;
  readonly schema: Schema;
}

type Content = Record<string, { schema: Schema }>;

export interface Operation {
  readonly operationId?: string;
  readonly summary?: string;
  readonly tags?: string[];
  readonly security?: Record<string, string[]>[];
  readonly parameters?: Parameter[];
  readonly requestBody?: { content: Content };
  readonly responses: Record<string, { description: string; content?: Content }>;
}

export interface OpenApi {
  readonly openapi: string;
  readonly info: { title: string; version: string; description: string };
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { schemas: Record<string, Schema>; securitySchemes: Record<string, unknown> };
}

export interface Route extends Operation {
  readonly method: string;
  readonly path: string;
  /** `GET /agent/{id}` */
  readonly name: string;
  readonly isPublic: boolean;
}

export const fetchOpenApi = (url: string): Promise<OpenApi> => new ApiClient(url).ok<OpenApi>('GET', '/openapi.json');

export function routesOf(document: OpenApi): Route[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(([verb, operation]) => {
      const method = verb.toUpperCase();
      const isPublic = (operation.security ?? []).length === 0;
      return { ...operation, method, path, name: `${method} ${path}`, isPublic };
    }),
  );
}

export function resolve(document: OpenApi, schema: Schema): Schema {
  if (!schema.$ref) return schema;
  const name = schema.$ref.replace('#/components/schemas/', '');
  const found = document.components.schemas[name];
  if (!found) throw new Error(`${schema.$ref} points nowhere`);
  return resolve(document, found);
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const FORMATS: Record<string, (text: string) => boolean> = {
  uuid: (text) => UUID.test(text),
  'date-time': (text) => !Number.isNaN(Date.parse(text)) && text.endsWith('Z'),
  date: (text) => /^\d{4}-\d\d-\d\d$/.test(text),
  uri: (text) => URL.canParse(text),
  password: () => true,
  base64: (text) => /^[A-Za-z0-9+/]*={0,2}$/.test(text),
};

/** Unknown keywords, formats and dangling references are errors. */
export function strictAjv(): Ajv2020 {
  const ajv = new Ajv2020({ strict: true, allowUnionTypes: true, allErrors: true, formats: FORMATS });
  return ajv.addVocabulary(['components', 'example']);
}

/** Compiles schemas of a document with its components in reach. */
export class DocumentSchemas {
  private readonly ajv = strictAjv();
  private readonly compiled = new Map<string, ValidateFunction>();

  constructor(private readonly document: OpenApi) {}

  compile(schema: Schema): ValidateFunction {
    const key = JSON.stringify(schema);
    const known = this.compiled.get(key) ?? this.ajv.compile({ ...schema, components: this.document.components });
    this.compiled.set(key, known);
    return known;
  }

  /** What an answer does not keep of what the document says of it; empty when it keeps all. */
  faults(route: Route, answer: { status: number; body: unknown; text: string; type: string }): string[] {
    const declared = route.responses[answer.status];
    if (!declared) return [`${route.name} answers ${answer.status}, which is not declared: ${answer.text}`];
    if (!declared.content) return answer.text === '' ? [] : [`${route.name} has a body at ${answer.status}`];
    const content = declared.content[answer.type];
    if (!content) return [`${route.name} answers ${answer.status} as ${answer.type}`];
    if (!answer.type.includes('json')) return [];
    const validate = this.compile(content.schema);
    if (validate(answer.body)) return [];
    return [`${route.name} ${answer.status}: ${this.ajv.errorsText(validate.errors)} in ${answer.text}`];
  }
}
