import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import { defaultParameters } from '../core/models/model-card.js';
import type { CredentialRecord } from '../credentials/credential.store.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { secretFields } from '../credentials/types/credential-type.js';
import { Egress } from '../platform/egress/egress.js';
import type { ChatModelConfig } from './chat-model-config.schema.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { GuardedModel } from './guarded-model.js';
import { MaskedModel } from './masked-model.js';
import { ModelCatalogService } from './model-catalog.service.js';
import { TokenRetryBudget } from './retry-budget.js';
import { tokenCounterOf } from './tokenizer/gpt-tokenizer.js';

interface KeptModel {
  readonly bound: Omit<BoundModel, 'credential_id'>;
  /** Of stored parameters, those that the model takes. */
  readonly fitting: (parameters: ChatModelConfig['parameters']) => Record<string, unknown>;
}

/** Chat models kept ready, with the secrets they were made of. */
const MAX_KEPT_MODELS = 1000;

/** Chat models, ready to be called. */
@Injectable()
export class ModelsService {
  private readonly logger = new Logger(ModelsService.name);
  private readonly chatModels = new Map<string, KeptModel>();

  constructor(
    private readonly credentials: CredentialsService,
    private readonly catalog: ModelCatalogService,
    private readonly egress: Egress,
  ) {}

  /** The model a configuration names, ready to be called with the caller's own credential. */
  async bind(principal: Principal, config: ChatModelConfig): Promise<BoundModel> {
    const record = await this.credentials.record(principal, config.credential_id);
    const { bound, fitting } = await this.chatModel(record, config.model);
    const stored = fitting(config.parameters);
    const left_out = Object.keys(config.parameters).filter((name) => !(name in stored));
    if (left_out.length > 0) {
      const { tenant_id, id: credential_id } = record;
      this.logger.warn(
        { tenant_id, credential_id, model: config.model, left_out },
        'Stored parameters do not fit the model',
      );
    }
    return { ...bound, parameters: { ...bound.parameters, ...stored }, credential_id: record.id };
  }

  /**
   * Models are kept per state of their credential, each with its circuit and its retries: a changed or replaced credential makes new ones.
   * The one that was not asked for the longest gives way.
   */
  private async chatModel(record: CredentialRecord, name: string): Promise<KeptModel> {
    const key = JSON.stringify([record.tenant_id, record.id, record.version, name]);
    let kept = this.chatModels.get(key);
    if (!kept) {
      const made = await this.make(record, name);
      // Another run may have made it meanwhile: all share one circuit.
      kept = this.chatModels.get(key) ?? made;
    }
    this.chatModels.delete(key);
    this.chatModels.set(key, kept);
    const [oldest] = this.chatModels.keys();
    if (oldest !== undefined && this.chatModels.size > MAX_KEPT_MODELS) this.chatModels.delete(oldest);
    return kept;
  }

  private async make(record: CredentialRecord, name: string): Promise<KeptModel> {
    const { type, data } = await this.credentials.unseal(record);
    const secrets = secretFields(type.schema).map((field) => data[field]);
    const ref = this.catalog.ref(type, name);
    const bare = type.createChatModel(data, ref, this.egress);
    const model = secrets.length > 0 ? new MaskedModel(bare, secrets) : bare;
    return {
      bound: {
        model: new GuardedModel(model, new CircuitBreaker(), type.type),
        parameters: ref.card ? defaultParameters(ref.card) : {},
        retryBudget: new TokenRetryBudget(),
        prices: ref.card?.prices ?? null,
        context_size: ref.card?.context_size ?? null,
        input_types: ref.card?.input_types ?? null,
        counter: tokenCounterOf(type.type),
      },
      fitting: (parameters) => this.catalog.fitting(type, ref, parameters),
    };
  }
}
