import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import type { ChatModel } from '../core/models/chat-model.js';
import type { ModelCard } from '../core/models/model-card.js';
import type { CredentialRecord } from '../credentials/credential.store.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import {
  type CredentialType,
  CredentialTypeRegistry,
  type ModelRef,
  secretFields,
} from '../credentials/types/credential-type.js';
import { Egress } from '../platform/egress/egress.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import { toFault } from '../platform/http/validation.pipe.js';
import type { ChatModelConfig } from './chat-model-config.schema.js';
import { MaskedModel } from './masked-model.js';

/** Agents and sessions choose models in the same two fields. */
export interface ModelChoice {
  chat_model_config?: ChatModelConfig | null;
  fallback_chat_model_config?: ChatModelConfig | null;
}

/** Chat models kept ready, with the secrets they were made of. */
const MAX_KEPT_MODELS = 1000;

@Injectable()
export class ModelsService {
  private readonly parameterSchemas = new WeakMap<ModelCard, z.ZodType>();
  private readonly chatModels = new Map<string, ChatModel>();

  constructor(
    private readonly types: CredentialTypeRegistry,
    private readonly credentials: CredentialsService,
    private readonly egress: Egress,
  ) {}

  list(provider: string): readonly ModelCard[] {
    const type = this.types.get(provider);
    if (!type) throw notFound('provider', provider);
    return type.models.chat;
  }

  /** Checks a model configuration before it is stored; `path` says where it stands in the request. */
  private async check(principal: Principal, config: ChatModelConfig, path: string): Promise<void> {
    const { type: owned } = await this.credentials.record(principal, config.credential_id);
    if (owned !== config.type) throw invalid(`${path}.type`, `the credential is of type ${owned}`);
    const type = this.types.get(config.type);
    if (!type) throw invalid(`${path}.type`, 'this service does not know this type');
    const { card } = refOf(type, config.model);
    if (!card && !type.allowsUnlistedModels) throw invalid(`${path}.model`, `${config.type} has no such model`);
    if (card) this.checkParameters(card, config.parameters, `${path}.parameters`);
  }

  /** The same for whatever model configurations a body holds. */
  async checkAll(principal: Principal, body: ModelChoice): Promise<void> {
    for (const field of ['chat_model_config', 'fallback_chat_model_config'] as const) {
      const config = body[field];
      if (config) await this.check(principal, config, field);
    }
  }

  /** The model a configuration names, ready to be called with the caller's own credential. */
  async bind(principal: Principal, config: ChatModelConfig): Promise<BoundModel> {
    const record = await this.credentials.record(principal, config.credential_id);
    return { model: await this.chatModel(record, config.model), parameters: config.parameters };
  }

  /** Models are kept per state of their credential: a changed or replaced credential makes new ones. */
  private async chatModel(record: CredentialRecord, name: string): Promise<ChatModel> {
    const key = JSON.stringify([record.tenant_id, record.id, record.version, name]);
    const kept = this.chatModels.get(key);
    if (kept) return kept;
    const { type, data } = await this.credentials.unseal(record);
    const secrets = secretFields(type.schema).map((field) => data[field]);
    const made = type.createChatModel(data, refOf(type, name), this.egress);
    const model = secrets.length > 0 ? new MaskedModel(made, secrets) : made;
    if (this.chatModels.size >= MAX_KEPT_MODELS) this.chatModels.clear();
    this.chatModels.set(key, model);
    return model;
  }

  private checkParameters(card: ModelCard, parameters: Record<string, unknown>, path: string): void {
    let schema = this.parameterSchemas.get(card);
    if (!schema) {
      schema = z.fromJSONSchema({ ...card.parameter_schema, additionalProperties: false });
      this.parameterSchemas.set(card, schema);
    }
    const parsed = schema.safeParse(parameters);
    if (parsed.success) return;
    const faults = parsed.error.issues.map((issue) => toFault({ ...issue, path: [path, ...issue.path] }));
    throw new AerieError('validation_failed', `The parameters are not valid for ${card.name}.`, faults);
  }
}

function refOf(type: CredentialType, name: string): ModelRef {
  return { name, card: type.models.chat.find((card) => card.name === name) ?? null };
}
