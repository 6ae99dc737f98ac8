import type { LanguageModelV4, LanguageModelV4CallOptions } from '@ai-sdk/provider';
import type { ChatModel, ModelCall, ModelPart, ToolSpec } from '../../core/models/chat-model.js';
import { toThrowable } from './errors.js';
import { type AiSdkModelOptions, DEFAULT_TIMEOUTS } from './options.js';
import { toPrompt } from './prompt.js';
import { RequestScope } from './request-scope.js';
import { StreamTranslator } from './stream.js';

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
    const request = new RequestScope(call.signal, this.options.timeouts ?? DEFAULT_TIMEOUTS);
    try {
      await request.open(this.model.doStream(await this.callOptions(call, request.signal)));
      const translator = new StreamTranslator(this.options.raw?.());
      while (!translator.finished) {
        const part = await request.read();
        if (part === undefined) return translator.end();
        const translated = translator.translate(part);
        if (translated.length > 0) request.hasShown();
        // Not `yield*`, which goes a longer way for each part.
        for (const one of translated) yield one;
      }
    } catch (error) {
      throw toThrowable(error, call.signal);
    } finally {
      request.close();
    }
  }

  private async callOptions(call: ModelCall, abortSignal: AbortSignal): Promise<LanguageModelV4CallOptions> {
    const { namespace, mapParameters, media: rules, thinking } = this.options;
    const hasTools = call.tools.length > 0;
    const { settings, provider } = mapParameters(call.parameters, { hasTools });
    const urls = await this.model.supportedUrls;
    return {
      prompt: toPrompt(call.system, call.messages, { rules, urls, thinking }),
      ...settings,
      ...(hasTools && { tools: call.tools.map(toFunctionTool), toolChoice: { type: 'auto' } }),
      providerOptions: { [namespace]: provider },
      ...(this.options.raw !== undefined && { includeRawChunks: true }),
      abortSignal,
    };
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
