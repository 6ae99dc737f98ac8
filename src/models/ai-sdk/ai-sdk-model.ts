import type {
  JSONObject,
  LanguageModelV4,
  LanguageModelV4CallOptions,
  LanguageModelV4StreamPart,
} from '@ai-sdk/provider';
import type { ChatModel, ModelCall, ModelPart, ToolSpec } from '../../core/models/chat-model.js';
import { toThrowable } from './errors.js';
import { toPrompt } from './prompt.js';
import { StreamTranslator } from './stream.js';

export interface AiSdkModelOptions {
  /** Under which key the provider looks for its own options. */
  readonly namespace: string;
  /** Options of the provider that go with every call. */
  readonly providerOptions?: JSONObject;
}

/** A chat model that is reached through a provider of the AI SDK. It never retries: the caller does. */
export class AiSdkChatModel implements ChatModel {
  readonly provider: string;
  readonly name: string;

  constructor(
    private readonly model: LanguageModelV4,
    private readonly options: AiSdkModelOptions,
  ) {
    this.provider = model.provider;
    this.name = model.modelId;
  }

  async *stream(call: ModelCall): AsyncGenerator<ModelPart, void, undefined> {
    call.signal.throwIfAborted();
    const request = new RequestScope(call.signal);
    try {
      const options = await this.callOptions(call, request.signal);
      const reader = await request.open(this.model.doStream(options).then(({ stream }) => stream));
      const translator = new StreamTranslator();
      while (!translator.finished) {
        const { done, value } = await reader.read();
        call.signal.throwIfAborted();
        if (done) translator.end();
        else yield* translator.translate(value);
      }
    } catch (error) {
      throw toThrowable(error, call.signal);
    } finally {
      request.close();
    }
  }

  private async callOptions(call: ModelCall, abortSignal: AbortSignal): Promise<LanguageModelV4CallOptions> {
    const { parameters } = call;
    const own: JSONObject = { ...this.options.providerOptions };
    if (typeof parameters.reasoning_effort === 'string') own.reasoningEffort = parameters.reasoning_effort;
    if (typeof parameters.parallel_tool_calls === 'boolean' && call.tools.length > 0) {
      own.parallelToolCalls = parameters.parallel_tool_calls;
    }
    return {
      prompt: toPrompt(call.system, call.messages, await this.model.supportedUrls),
      maxOutputTokens: numberOf(parameters.max_tokens),
      temperature: numberOf(parameters.temperature),
      topP: numberOf(parameters.top_p),
      topK: numberOf(parameters.top_k),
      ...(call.tools.length > 0 && { tools: call.tools.map(toFunctionTool), toolChoice: { type: 'auto' } }),
      providerOptions: { [this.options.namespace]: own },
      abortSignal,
    };
  }
}

type Parts = ReadableStream<LanguageModelV4StreamPart>;

/** One request to the provider: ended by the caller's abort or by the caller turning away, whichever way the provider takes either. */
class RequestScope {
  private readonly controller = new AbortController();
  private reader: ReadableStreamDefaultReader<LanguageModelV4StreamPart> | undefined;
  private closed = false;

  constructor(private readonly outer: AbortSignal) {
    outer.addEventListener('abort', this.close, { once: true });
  }

  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Resolves with the reader of the stream, or fails at once when the caller aborts. */
  async open(opening: PromiseLike<Parts>): Promise<ReadableStreamDefaultReader<LanguageModelV4StreamPart>> {
    const opened = Promise.resolve(opening).then((stream) => {
      this.reader = stream.getReader();
      if (this.closed) this.cancelReader();
      return this.reader;
    });
    const aborted = new Promise<never>((_, reject) => {
      const fail = (): void => reject(this.outer.reason as Error);
      if (this.signal.aborted) fail();
      else this.signal.addEventListener('abort', fail, { once: true });
    });
    return Promise.race([opened, aborted]);
  }

  readonly close = (): void => {
    if (this.closed) return;
    this.closed = true;
    this.outer.removeEventListener('abort', this.close);
    this.controller.abort(this.outer.reason);
    this.cancelReader();
  };

  /** Settles a pending read at once. That cancelling may fail does not matter: nobody reads on. */
  private cancelReader(): void {
    this.reader?.cancel(this.outer.reason).catch(() => undefined);
  }
}

function toFunctionTool(tool: ToolSpec): NonNullable<LanguageModelV4CallOptions['tools']>[number] {
  return {
    type: 'function',
    name: tool.name,
    description: tool.description,
    inputSchema: tool.input_schema,
  };
}

function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}
