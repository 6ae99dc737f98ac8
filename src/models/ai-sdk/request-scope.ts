import type { LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { ModelError } from '../../core/models/chat-model.js';
import type { ModelTimeouts } from './options.js';

type Parts = ReadableStream<LanguageModelV4StreamPart>;
type PartsReader = ReadableStreamDefaultReader<LanguageModelV4StreamPart>;

/**
 * One request to the provider: ended by the caller's abort, by the caller turning away or by a provider that says nothing for too long,
 * whichever way the provider takes any of them.
 */
export class RequestScope {
  private readonly controller = new AbortController();
  private readonly ended = Promise.withResolvers<never>();
  private reader: PartsReader | undefined;
  private timer: NodeJS.Timeout;
  private waiting = true;
  private closed = false;
  private showed = false;

  constructor(
    private readonly outer: AbortSignal,
    private readonly timeouts: ModelTimeouts,
  ) {
    // Whether anybody waits for it is seen only later.
    this.ended.promise.catch(() => undefined);
    this.timer = setTimeout(this.expire, timeouts.first_output_ms, 'The model has shown nothing for too long.');
    outer.addEventListener('abort', this.abort, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Resolves when the provider has begun to answer, or fails at once with the reason why this request ended. */
  async open(opening: PromiseLike<{ stream: Parts }>): Promise<void> {
    const opened = Promise.resolve(opening).then(({ stream }) => {
      this.reader = stream.getReader();
      if (this.closed) this.cancelReader();
    });
    await Promise.race([opened, this.ended.promise]);
  }

  /** The next part, or undefined at the end of the stream. Fails at once with the reason why this request ended. */
  async read(): Promise<LanguageModelV4StreamPart | undefined> {
    if (this.reader === undefined) throw new Error('The request is not open.');
    this.waiting = true;
    if (this.showed) this.timer.refresh();
    // Ended requests cancel the reader, which settles a pending read; so no race is needed, which would cost something for each part.
    const { done, value } = await this.reader.read();
    this.waiting = false;
    if (this.closed) return this.ended.promise;
    return done ? undefined : value;
  }

  /** From now on the model is only to go on, not to come up with something. */
  hasShown(): void {
    if (this.showed || this.closed) return;
    this.showed = true;
    clearTimeout(this.timer);
    this.timer = setTimeout(this.expire, this.timeouts.idle_ms, 'The stream has been silent for too long.');
  }

  /** To be called in the end, whatever happened. */
  close(): void {
    this.end(new DOMException('The request is over.', 'AbortError'));
  }

  private readonly abort = (): void => this.end(this.outer.reason);

  /** A reader that takes its time is no fault of the provider; `read` starts the time anew. */
  private readonly expire = (message: string): void => {
    if (this.waiting) this.end(new ModelError('connection', message));
  };

  private end(reason: unknown): void {
    if (this.closed) return;
    this.closed = true;
    clearTimeout(this.timer);
    this.outer.removeEventListener('abort', this.abort);
    this.ended.reject(reason);
    this.cancelReader(reason);
    this.controller.abort(reason);
  }

  /** Settles a pending read at once. That cancelling may fail does not matter: nobody reads on. */
  private cancelReader(reason?: unknown): void {
    this.reader?.cancel(reason).catch(() => undefined);
  }
}
