import type { JSONObject, JSONValue } from '@ai-sdk/provider';
import type { ModelPart } from '../../core/models/chat-model.js';
import type { MediaRules } from './media.js';

/** Request parameters as they were validated against the model's card. Null stands for "not set". */
export type Parameters = Readonly<Record<string, unknown>>;

/** Settings of a call that all provider packages take under the same name; not every package sends each of them. */
export interface CallSettings {
  readonly maxOutputTokens?: number;
  readonly temperature?: number;
  readonly topP?: number;
  readonly topK?: number;
}

/** What one call's parameters come to. */
export interface MappedParameters {
  readonly settings: CallSettings;
  /** Options under the provider's own namespace. */
  readonly provider: JSONObject;
}

export interface ModelTimeouts {
  /** Milliseconds from the request to the first thing the model shows. Reasoning models may be silent for minutes. */
  readonly first_output_ms: number;
  /** Milliseconds between two parts after that. Time that the reader takes for a part does not count. */
  readonly idle_ms: number;
}

export const DEFAULT_TIMEOUTS: ModelTimeouts = { first_output_ms: 600_000, idle_ms: 300_000 };

/** How a provider package is to be called for one model. */
export interface AiSdkModelOptions {
  /** Under which key the package looks for its own options. */
  readonly namespace: string;
  readonly mapParameters: (parameters: Parameters, call: { readonly hasTools: boolean }) => MappedParameters;
  readonly media: MediaRules;
  /**
   * Which thinking of earlier turns goes back to the provider: `signed` only what came with metadata of a provider, `all` also plain
   * text, for providers that want it returned during a tool loop and have no signature.
   */
  readonly thinking: 'signed' | 'all';
  readonly timeouts?: ModelTimeouts;
  /** For what the package does not pass on. A reader serves one call; with one, the package hands out every chunk twice. */
  readonly raw?: () => RawReader;
}

/** Reads the provider's own chunks. */
export interface RawReader {
  read(chunk: unknown): ModelPart[];
  /** What is left to be said when the model has finished. */
  end(): ModelPart[];
}

/** The settings that go by the same name with every provider. */
export function commonSettings(parameters: Parameters): CallSettings {
  return {
    maxOutputTokens: numberOf(parameters.max_tokens),
    temperature: numberOf(parameters.temperature),
    topP: numberOf(parameters.top_p),
    topK: numberOf(parameters.top_k),
  };
}

export function numberOf(value: unknown): number | undefined {
  return typeof value === 'number' ? value : undefined;
}

export function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value : undefined;
}

export function flagOf(value: unknown): boolean | undefined {
  return typeof value === 'boolean' ? value : undefined;
}

/** Without the keys that are not set: a package takes `undefined` for a faulty value here and there, and JSON has no place for it. */
export function present(options: Record<string, JSONValue | undefined>): JSONObject {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** For packages that take thinking as a switch, with an effort beside it. */
export function switchedThinking(parameters: Parameters): JSONObject {
  const enabled = flagOf(parameters.thinking_enable);
  return present({
    thinking: enabled === undefined ? undefined : { type: enabled ? 'enabled' : 'disabled' },
    reasoningEffort: textOf(parameters.reasoning_effort),
  });
}
