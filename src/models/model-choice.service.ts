import { Injectable } from '@nestjs/common';
import { isDeepStrictEqual } from 'node:util';
import type { Principal } from '../auth/principal.js';
import { CredentialsService } from '../credentials/credentials.service.js';
import { CredentialTypeRegistry } from '../credentials/types/credential-type.js';
import { AerieError, invalid } from '../platform/http/errors.js';
import { toFault } from '../platform/http/validation.pipe.js';
import type { ChatModelConfig } from './chat-model-config.schema.js';
import { ModelCatalogService } from './model-catalog.service.js';
import type { ModelWarning } from './model-warning.schema.js';

/** Agents and sessions choose models in the same two fields. */
export interface ModelChoice {
  chat_model_config?: ChatModelConfig | null;
  fallback_chat_model_config?: ChatModelConfig | null;
}

const FIELDS = ['chat_model_config', 'fallback_chat_model_config'] as const;

/** What may be chosen as the model of an agent or a session. */
@Injectable()
export class ModelChoiceService {
  constructor(
    private readonly types: CredentialTypeRegistry,
    private readonly credentials: CredentialsService,
    private readonly catalog: ModelCatalogService,
  ) {}

  /**
   * Checks the models of a body before they are stored. What is `stored` already and stays as it is was checked then, and stays usable
   * although its provider or its credential has gone since.
   */
  async check(principal: Principal, body: ModelChoice, stored: ModelChoice = {}): Promise<void> {
    for (const field of FIELDS) {
      const config = body[field];
      if (config && !isDeepStrictEqual(config, stored[field])) await this.checkOne(principal, config, field);
    }
  }

  /** What a caller should know of the models of an agent or a session as they stand. */
  warnings(choice: ModelChoice): ModelWarning[] {
    return FIELDS.flatMap((field) => {
      const config = choice[field];
      const type = config && this.types.get(config.type);
      const card = type && this.catalog.ref(type, config.model).card;
      if (!card || card.status === 'active') return [];
      const since = card.deprecated_at === null ? '' : ` since ${card.deprecated_at}`;
      return [
        { code: `model_${card.status}`, path: `${field}.model`, message: `${card.name} is ${card.status}${since}.` },
      ];
    });
  }

  private async checkOne(principal: Principal, config: ChatModelConfig, path: string): Promise<void> {
    const { type: owned } = await this.credentials.record(principal, config.credential_id);
    if (owned !== config.type) throw invalid(`${path}.type`, `the credential is of type ${owned}`);
    const type = this.types.get(config.type);
    if (!type) throw invalid(`${path}.type`, 'this service does not know this type');
    const ref = this.catalog.ref(type, config.model);
    const { card } = ref;
    if (!card && !type.allowsUnlistedModels) throw invalid(`${path}.model`, `${config.type} has no such model`);
    if (card?.status === 'sunset') throw invalid(`${path}.model`, 'this model is sunset: choose another one');
    const issues = this.catalog.faults(type, ref, config.parameters);
    if (issues.length === 0) return;
    const faults = issues.map((issue) => toFault({ ...issue, path: [path, 'parameters', ...issue.path] }));
    throw new AerieError('validation_failed', `The parameters are not valid for ${config.model}.`, faults);
  }
}
