import { type ChatModel, type ModelCall, ModelError, type ModelPart } from '../core/models/chat-model.js';
import type { CircuitBreaker, Permit } from './circuit-breaker.js';

/** A model that is not called while its circuit is open. `provider` is the name that clients know it by: the type of its credential. */
export class GuardedModel implements ChatModel {
  readonly name: string;

  constructor(
    private readonly model: ChatModel,
    private readonly breaker: CircuitBreaker,
    readonly provider: string,
  ) {
    this.name = model.name;
  }

  stream(call: ModelCall): AsyncIterable<ModelPart> {
    const { model, breaker } = this;
    return { [Symbol.asyncIterator]: () => new GuardedStream(model, call, breaker) };
  }
}

/** Written out instead of a generator: every delta passes through here. */
class GuardedStream implements AsyncIterator<ModelPart, unknown, undefined> {
  private inner: AsyncIterator<ModelPart> | null = null;
  private permit: Permit | null = null;
  private left = false;

  constructor(
    private readonly model: ChatModel,
    private readonly call: ModelCall,
    private readonly breaker: CircuitBreaker,
  ) {}

  async next(): Promise<IteratorResult<ModelPart, unknown>> {
    if (this.left) return { done: true, value: undefined };
    try {
      const step = await this.open().next();
      if (step.done === true) {
        // Heard only when there was no finish: the stream was cut off.
        this.permit?.failed(new ModelError('upstream', 'The stream ended without a finish.'));
      } else if (step.value.type === 'finish') {
        this.permit?.succeeded();
      } else {
        this.permit?.answered();
      }
      return step;
    } catch (error) {
      if (error instanceof ModelError && !this.call.signal.aborted) this.permit?.failed(error);
      else this.permit?.released();
      throw error;
    }
  }

  async return(): Promise<IteratorResult<ModelPart, unknown>> {
    this.left = true;
    this.permit?.released();
    await this.inner?.return?.();
    return { done: true, value: undefined };
  }

  /** With the first part asked for, as a generator begins. */
  private open(): AsyncIterator<ModelPart> {
    this.permit ??= this.breaker.admit();
    return (this.inner ??= this.model.stream(this.call)[Symbol.asyncIterator]());
  }
}
