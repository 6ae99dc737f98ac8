import { type ChatModel, type ModelCall, ModelError, type ModelPart } from '../core/models/chat-model.js';

const MASK = '[redacted]';

/** A model whose errors never repeat the secrets it was made with: some servers say the key they refuse. */
export class MaskedModel implements ChatModel {
  readonly provider: string;
  readonly name: string;
  private readonly secrets: readonly string[];

  constructor(
    private readonly model: ChatModel,
    secrets: readonly unknown[],
  ) {
    this.provider = model.provider;
    this.name = model.name;
    this.secrets = secrets.filter((it): it is string => typeof it === 'string' && it !== '');
  }

  async *stream(call: ModelCall): AsyncGenerator<ModelPart, void, void> {
    try {
      yield* this.model.stream(call);
    } catch (error) {
      if (!(error instanceof ModelError) || !this.secrets.some((secret) => error.message.includes(secret))) throw error;
      const message = this.secrets.reduce((text, secret) => text.replaceAll(secret, MASK), error.message);
      // Without its cause, which may say the same.
      throw new ModelError(error.type, message, { ...error.options, cause: undefined });
    }
  }
}
