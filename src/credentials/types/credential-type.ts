import { z } from 'zod';
import type { ChatModel } from '../../core/models/chat-model.js';
import type { ModelCard } from '../../core/models/model-card.js';
import type { ModelCatalog } from '../../core/models/model-catalog.js';
import { catalogFaults } from './catalog-faults.js';

/** How a type reaches its provider. */
export interface ProviderAccess {
  /** The way out of the process; it refuses addresses that tenants may not reach. */
  readonly fetch: typeof globalThis.fetch;
}

/** The model that is to be called; `card` is null for a model that the catalogue does not list. */
export interface ModelRef {
  readonly name: string;
  readonly card: ModelCard | null;
}

/**
 * A kind of credential: its fields, the models it opens, and how a model is made of it. `schema` is strict, holds a `type` literal equal
 * to `type`, and marks secrets by `.meta({ format: 'password', writeOnly: true })` on its own properties, not below them. A field that says where the provider is, is a `z.url()`:
 * one that egress refuses is not stored.
 */
export interface CredentialType<S extends z.ZodObject = z.ZodObject> {
  readonly type: string;
  readonly title: string;
  readonly schema: S;
  readonly models: ModelCatalog;
  /** An open catalogue: a model name without a card is allowed. */
  readonly allowsUnlistedModels: boolean;
  createChatModel(data: z.infer<S>, model: ModelRef, access: ProviderAccess): ChatModel;
  /** The cheapest call that shows whether the provider takes the credential; throws a `ModelError`. Absent: there is nobody to ask. */
  verify?(data: z.infer<S>, access: ProviderAccess, signal: AbortSignal): Promise<void>;
}

type JsonSchema = Record<string, unknown>;

function unwrap(field: z.core.$ZodType): z.core.$ZodType {
  let inner = field;
  while (
    inner instanceof z.ZodOptional ||
    inner instanceof z.ZodNullable ||
    inner instanceof z.ZodDefault ||
    inner instanceof z.ZodPrefault ||
    inner instanceof z.ZodReadonly
  ) {
    if (isSecret(inner)) return inner;
    inner = inner.unwrap();
  }
  return inner;
}

function isSecret(field: z.core.$ZodType): boolean {
  return z.globalRegistry.get(field)?.writeOnly === true;
}

/** Names of the properties that are never returned. */
export function secretFields(schema: z.ZodObject): string[] {
  return Object.entries(schema.shape as Record<string, z.core.$ZodType>)
    .filter(([, field]) => isSecret(unwrap(field)))
    .map(([name]) => name);
}

/** Names of the properties that hold a URL. The service goes to all of them, so they must be ones it may reach. */
export function urlFields(schema: z.ZodObject): string[] {
  return Object.entries(schema.shape as Record<string, z.core.$ZodType>)
    .filter(([, field]) => unwrap(field) instanceof z.ZodURL)
    .map(([name]) => name);
}

/** Names of the properties that hold a secret where `secretFields` does not find it: it would be stored in the clear, and returned. */
function shownSecrets(schema: z.ZodObject): string[] {
  const hidden = new Set(secretFields(schema));
  const { properties = {} } = z.toJSONSchema(schema, {
    io: 'input',
    unrepresentable: 'any',
    metadata: new NamelessRegistry(),
  });
  return Object.keys(properties).filter((name) => !hidden.has(name) && holdsSecret(properties[name]));
}

function holdsSecret(schema: unknown): boolean {
  if (typeof schema !== 'object' || schema === null) return false;
  const { writeOnly, format } = schema as JsonSchema;
  return writeOnly === true || format === 'password' || Object.values(schema).some(holdsSecret);
}

/** Named schemas become `$ref`s, which a form would have to resolve; without their names everything stands in place. */
class NamelessRegistry extends z.core.$ZodRegistry<z.core.GlobalMeta> {
  override get<S extends z.core.$ZodType>(schema: S): z.core.$replace<z.core.GlobalMeta, S> | undefined {
    const meta = z.globalRegistry.get(schema);
    return meta === undefined ? undefined : { ...meta, id: undefined };
  }
}

/** The JSON Schema of a credential as a form needs it. */
export function credentialJsonSchema(type: CredentialType): JsonSchema {
  const schema = z.toJSONSchema(type.schema, { io: 'input', metadata: new NamelessRegistry() }) as JsonSchema;
  delete schema.$schema;
  const properties = { ...(schema.properties as Record<string, JsonSchema>) };
  for (const [name, property] of Object.entries(properties)) {
    properties[name] = { title: titleOf(name), ...withoutUnion(property) };
  }
  for (const name of secretFields(type.schema)) {
    properties[name] = { ...properties[name], format: 'password', writeOnly: true };
  }
  return { ...schema, title: type.title, properties, additionalProperties: false };
}

/** `anyOf` a string and null would be a choice between two inputs in a form; a string that may be null is one input. */
function withoutUnion({ anyOf, ...property }: JsonSchema): JsonSchema {
  if (!Array.isArray(anyOf)) return property;
  const [option, ...others] = (anyOf as JsonSchema[]).filter((it) => it.type !== 'null');
  if (!option || others.length > 0 || typeof option.type !== 'string') return { ...property, anyOf };
  return { ...option, ...property, type: [option.type, 'null'] };
}

function titleOf(name: string): string {
  const words = name.replaceAll('_', ' ');
  return words.charAt(0).toUpperCase() + words.slice(1);
}

export class CredentialTypeRegistry {
  private readonly types = new Map<string, CredentialType>();

  constructor(types: readonly CredentialType[]) {
    for (const type of types) {
      if (this.types.has(type.type)) throw new Error(`Credential type "${type.type}" is registered twice.`);
      assertWellFormed(type);
      this.types.set(type.type, type);
    }
  }

  get(type: string): CredentialType | undefined {
    return this.types.get(type);
  }

  list(): readonly CredentialType[] {
    return [...this.types.values()];
  }
}

/** A lax schema would store misspelt secrets in the clear, so it is refused when the process starts; so is a faulty catalogue. */
function assertWellFormed({ type, schema, models }: CredentialType): void {
  const literal: unknown = schema.shape.type;
  if (!(literal instanceof z.ZodLiteral) || literal.values.size !== 1 || !literal.values.has(type)) {
    throw new Error(`The schema of credential type "${type}" needs a type literal "${type}".`);
  }
  if (!(schema.def.catchall instanceof z.ZodNever)) {
    throw new Error(`The schema of credential type "${type}" must be strict.`);
  }
  const shown = shownSecrets(schema);
  if (shown.length > 0) {
    throw new Error(
      `The schema of credential type "${type}" has secrets that are not told apart: ${shown.join(', ')}.`,
    );
  }
  const faults = catalogFaults(models);
  if (faults.length > 0) throw new Error(`The models of credential type "${type}" are not valid: ${faults.join('; ')}`);
}
