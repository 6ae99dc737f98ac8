import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { ModelCard, ParameterSchema } from '../core/models/model-card.js';
import type { EmbeddingModelCard, ModelCatalog, TtsModelCard } from '../core/models/model-catalog.js';
import { type CredentialType, CredentialTypeRegistry, type ModelRef } from '../credentials/types/credential-type.js';
import { notFound } from '../platform/http/errors.js';
import type { ModelQuery } from './model.schema.js';

interface AnyCard {
  readonly name: string;
  readonly status: string;
  readonly input_types: readonly string[];
}

/** A card as it is listed: with the credential type that opens it. */
type Listed<C> = C & { readonly provider: string };

/** The cards of all credential types. */
@Injectable()
export class ModelCatalogService {
  private readonly validators = new WeakMap<ParameterSchema, z.ZodType>();
  private readonly cards = new Map<string, ReadonlyMap<string, ModelCard>>();

  constructor(private readonly types: CredentialTypeRegistry) {
    for (const { type, models } of types.list()) {
      this.cards.set(type, new Map(models.chat.map((card) => [card.name, card])));
    }
  }

  chat(query: ModelQuery): Listed<ModelCard>[] {
    return this.listed(query, (models) => models.chat);
  }

  embedding(query: ModelQuery): Listed<EmbeddingModelCard>[] {
    return this.listed(query, (models) => models.embedding);
  }

  tts(query: ModelQuery): Listed<TtsModelCard>[] {
    return this.listed(query, (models) => models.tts);
  }

  get(provider: string, name: string): Listed<ModelCard> {
    const card = this.ref(this.provider(provider), name).card;
    if (!card) throw notFound('model', name);
    return { provider, ...card };
  }

  /** A model of a type by its name, with its card when there is one. */
  ref({ type }: CredentialType, name: string): ModelRef {
    return { name, card: this.cards.get(type)?.get(name) ?? null };
  }

  /** What is wrong with the parameters of a model: with its card, or without one with what its type takes. */
  faults({ models }: CredentialType, { card }: ModelRef, parameters: unknown): readonly z.core.$ZodIssue[] {
    const schema = card?.parameter_schema ?? models.parameters;
    let validator = this.validators.get(schema);
    if (!validator) {
      validator = z.fromJSONSchema({ ...schema, additionalProperties: false });
      this.validators.set(schema, validator);
    }
    return validator.safeParse(parameters).error?.issues ?? [];
  }

  /** Of parameters that were checked when they were stored, those that still are valid: a card may have changed since. */
  fitting(type: CredentialType, ref: ModelRef, parameters: Readonly<Record<string, unknown>>): Record<string, unknown> {
    const faulty = this.faults(type, ref, parameters).flatMap((issue): PropertyKey[] =>
      issue.code === 'unrecognized_keys' ? issue.keys : issue.path.slice(0, 1),
    );
    return Object.fromEntries(Object.entries(parameters).filter(([name]) => !faulty.includes(name)));
  }

  private listed<C extends AnyCard>(query: ModelQuery, cardsOf: (models: ModelCatalog) => readonly C[]): Listed<C>[] {
    const types = query.provider === undefined ? this.types.list() : [this.provider(query.provider)];
    return types.flatMap(({ type, models }) =>
      cardsOf(models)
        .filter((card) => matches(card, query))
        .map((card) => ({ provider: type, ...card })),
    );
  }

  private provider(name: string): CredentialType {
    const type = this.types.get(name);
    if (!type) throw notFound('provider', name);
    return type;
  }
}

function matches(card: AnyCard, { status, input_type }: ModelQuery): boolean {
  if (status !== undefined && card.status !== status) return false;
  if (input_type === undefined) return true;
  const family = input_type.endsWith('/*') ? input_type.slice(0, -1) : null;
  return card.input_types.some((type) => (family === null ? type === input_type : type.startsWith(family)));
}
