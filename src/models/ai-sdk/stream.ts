import type {
  LanguageModelV4FinishReason,
  LanguageModelV4StreamPart,
  LanguageModelV4ToolCall,
  LanguageModelV4Usage,
  SharedV4ProviderMetadata,
} from '@ai-sdk/provider';
import type { Metadata } from '../../core/messages/block.js';
import type { Usage } from '../../core/messages/message.js';
import { ModelError, type ModelPart } from '../../core/models/chat-model.js';
import { toModelError } from './errors.js';
import type { RawReader } from './options.js';

interface OpenCall {
  streamed: string;
  /** Deltas that are not JSON cannot be passed on; the whole input follows with the finished call. */
  raw: boolean;
  metadata: SharedV4ProviderMetadata | undefined;
}

type BlockPart = Extract<LanguageModelV4StreamPart, { type: `${'text' | 'reasoning'}-${'start' | 'delta' | 'end'}` }>;

/** Translates the stream of one model call, part by part. */
export class StreamTranslator {
  private readonly calls = new Map<string, OpenCall>();
  /** Blocks that were announced but have shown nothing yet; one that stays empty is dropped. */
  private readonly unopened = new Set<string>();
  private readonly notes = new Map<string, SharedV4ProviderMetadata>();
  private done = false;

  constructor(private readonly raw?: RawReader) {}

  get finished(): boolean {
    return this.done;
  }

  translate(part: LanguageModelV4StreamPart): ModelPart[] {
    switch (part.type) {
      case 'text-start':
      case 'reasoning-start':
        this.unopened.add(blockKey(part.type, part.id));
        this.note(part);
        return [];
      case 'text-delta':
        if (part.providerMetadata !== undefined) this.note(part);
        if (part.delta === '') return [];
        return [...this.open('text', part.id), { type: 'text_delta', id: part.id, delta: part.delta }];
      case 'reasoning-delta':
        if (part.providerMetadata !== undefined) this.note(part);
        if (part.delta === '') return [];
        return [...this.open('thinking', part.id), { type: 'thinking_delta', id: part.id, delta: part.delta }];
      case 'text-end': {
        const metadata = this.noted(part);
        if (this.unopened.delete(blockKey(part.type, part.id))) return [];
        return [{ type: 'text_end', id: part.id, ...keep(metadata) }];
      }
      case 'reasoning-end': {
        const metadata = this.noted(part);
        // Encrypted reasoning has no text, but the provider wants it back.
        const hidden = metadata === undefined ? [] : this.open('thinking', part.id);
        if (this.unopened.delete(blockKey(part.type, part.id))) return [];
        return [...hidden, { type: 'thinking_end', id: part.id, ...keep(metadata) }];
      }
      case 'tool-input-start':
        if (part.providerExecuted === true) return [];
        this.calls.set(part.id, {
          streamed: '',
          raw: part.inputEncoding === 'text',
          metadata: part.providerMetadata,
        });
        return [{ type: 'tool_call_start', id: part.id, name: part.toolName }];
      case 'tool-input-delta':
        return this.input(part.id, part.delta);
      case 'tool-input-end': {
        const call = this.calls.get(part.id);
        if (call !== undefined) call.metadata = part.providerMetadata ?? call.metadata;
        return [];
      }
      case 'tool-call':
        return part.providerExecuted === true ? [] : this.endCall(part);
      case 'file':
        return part.data.type === 'data'
          ? [{ type: 'data', media_type: part.mediaType, data: toBase64(part.data.data) }]
          : [];
      case 'raw':
        return this.raw?.read(part.rawValue) ?? [];
      case 'error':
        throw toModelError(part.error);
      case 'finish':
        return this.finish(part.finishReason, part.usage);
      default:
        // Warnings, sources and the like; also kinds that a newer provider may invent.
        return [];
    }
  }

  /** To be called when the stream has ended: one that was cut off is a failure. */
  end(): never {
    throw new ModelError('connection', 'The stream ended before the model had finished.');
  }

  /** Providers say what they want back with a block at its start, its end or between (a signature comes with an empty delta). */
  private note({ type, id, providerMetadata }: BlockPart): void {
    if (providerMetadata === undefined) return;
    const key = blockKey(type, id);
    const known: SharedV4ProviderMetadata = { ...this.notes.get(key) };
    for (const [name, said] of Object.entries(providerMetadata)) known[name] = { ...known[name], ...said };
    this.notes.set(key, known);
  }

  private noted(part: BlockPart): SharedV4ProviderMetadata | undefined {
    this.note(part);
    const key = blockKey(part.type, part.id);
    const metadata = this.notes.get(key);
    this.notes.delete(key);
    return metadata;
  }

  private open(kind: 'text' | 'thinking', id: string): ModelPart[] {
    return this.unopened.delete(blockKey(kind, id)) ? [{ type: `${kind}_start`, id }] : [];
  }

  private input(id: string, delta: string): ModelPart[] {
    const call = this.calls.get(id);
    if (call === undefined || call.raw || delta === '') return [];
    call.streamed += delta;
    return [{ type: 'tool_call_delta', id, delta }];
  }

  /** The provider metadata of a call comes with this part, so the block stays open until it. */
  private endCall(part: LanguageModelV4ToolCall): ModelPart[] {
    const id = part.toolCallId;
    const call = this.calls.get(id);
    this.calls.delete(id);
    const streamed = call?.streamed ?? '';
    const rest = part.input.startsWith(streamed) ? part.input.slice(streamed.length) : '';
    const parts: ModelPart[] = call === undefined ? [{ type: 'tool_call_start', id, name: part.toolName }] : [];
    if (rest !== '') parts.push({ type: 'tool_call_delta', id, delta: rest });
    parts.push({ type: 'tool_call_end', id, ...keep(part.providerMetadata ?? call?.metadata) });
    return parts;
  }

  private finish({ unified, raw }: LanguageModelV4FinishReason, usage: LanguageModelV4Usage): ModelPart[] {
    // Many packages take the end of the stream for the end of the answer; that the provider gave no reason for it tells them apart.
    if (unified === 'interrupted' || (unified === 'other' && raw === undefined)) {
      throw new ModelError('connection', 'The model was cut off before it had finished.');
    }
    if (unified === 'error') throw new ModelError('upstream', 'The model ended with an error.');
    this.done = true;
    const parts: ModelPart[] = [];
    for (const [id, { metadata }] of this.calls) parts.push({ type: 'tool_call_end', id, ...keep(metadata) });
    this.calls.clear();
    parts.push(...(this.raw?.end() ?? []));
    parts.push({ type: 'finish', usage: toUsage(usage) });
    return parts;
  }
}

/** Some providers give a text and a reasoning block the same id. */
function blockKey(type: string, id: string): string {
  return `${type.startsWith('text') ? 'text' : 'thinking'}:${id}`;
}

/** What the provider wants back with the block in later calls. */
function keep(metadata: SharedV4ProviderMetadata | undefined): { metadata?: Metadata } {
  return metadata === undefined ? {} : { metadata: { provider_options: metadata } };
}

function toUsage({ inputTokens, outputTokens }: LanguageModelV4Usage): Usage {
  return {
    input_tokens: inputTokens.total ?? 0,
    output_tokens: outputTokens.total ?? 0,
    cache_input_tokens: inputTokens.cacheRead ?? 0,
    cache_creation_input_tokens: inputTokens.cacheWrite ?? 0,
    reasoning_tokens: outputTokens.reasoning ?? 0,
  };
}

function toBase64(data: string | Uint8Array): string {
  return typeof data === 'string' ? data : Buffer.from(data).toString('base64');
}
