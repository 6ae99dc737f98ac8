import { type ChatModel, type ModelCall, ModelError, type ModelPart } from '../core/models/chat-model.js';
import { maskSecrets } from '../platform/crypto/mask.js';

/** A model whose errors never repeat the secrets it was made with: some servers say the key they refuse. */
export class MaskedModel implements ChatModel {
  readonly provider: string;
  readonly name: string;

  constructor(
    private readonly model: ChatModel,
    private readonly secrets: readonly unknown[],
  ) {
    this.provider = model.provider;
    this.name = model.name;
  }

  async *stream(call: ModelCall): AsyncGenerator<ModelPart, void, void> {
    try {
      yield* this.model.stream(call);
    } catch (error) {
      if (!(error instanceof ModelError)) throw error;
      const message = maskSecrets(error.message, this.secrets);
      if (message === error.message) throw error;
      // Without its cause, which may say the same.
      throw new ModelError(error.type, message, { ...error.options, cause: undefined });
    }
  }
}
