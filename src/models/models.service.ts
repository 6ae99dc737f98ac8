import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import type { ChatModel } from '../core/models/chat-model.js';
import type { CredentialRecord } from '../credentials/credential.store.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { secretFields } from '../credentials/types/credential-type.js';
import { Egress } from '../platform/egress/egress.js';
import type { ChatModelConfig } from './chat-model-config.schema.js';
import { MaskedModel } from './masked-model.js';
import { ModelCatalogService } from './model-catalog.service.js';

/** Chat models kept ready, with the secrets they were made of. */
const MAX_KEPT_MODELS = 1000;

/** Chat models, ready to be called. */
@Injectable()
export class ModelsService {
  private readonly chatModels = new Map<string, ChatModel>();

  constructor(
    private readonly credentials: CredentialsService,
    private readonly catalog: ModelCatalogService,
    private readonly egress: Egress,
  ) {}

  /** The model a configuration names, ready to be called with the caller's own credential. */
  async bind(principal: Principal, config: ChatModelConfig): Promise<BoundModel> {
    const record = await this.credentials.record(principal, config.credential_id);
    return { model: this.chatModel(record, config.model), parameters: config.parameters };
  }

  /** Models are kept per state of their credential: a changed or replaced credential makes new ones. */
  private chatModel(record: CredentialRecord, name: string): ChatModel {
    const key = `${record.tenant_id}|${record.id}|${record.updated_at.getTime()}|${name}`;
    let model = this.chatModels.get(key);
    if (!model) {
      const { type, data } = this.credentials.unseal(record);
      const secrets = secretFields(type.schema).map((field) => data[field]);
      model =
        secrets.length > 0
          ? new MaskedModel(type.createChatModel(data, this.catalog.ref(type, name), this.egress), secrets)
          : type.createChatModel(data, this.catalog.ref(type, name), this.egress);
      if (this.chatModels.size >= MAX_KEPT_MODELS) this.chatModels.clear();
      this.chatModels.set(key, model);
    }
    return model;
  }
}
