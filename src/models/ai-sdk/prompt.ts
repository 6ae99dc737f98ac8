import type {
  LanguageModelV4FilePart,
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4TextPart,
  LanguageModelV4ToolResultPart,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import type { ContentBlock, DataBlock, HintBlock, ToolCallBlock, ToolResultBlock } from '../../core/messages/block.js';
import type { Msg } from '../../core/messages/message.js';

/** URLs a model fetches by itself, by media type pattern (`image/*`). */
export type SupportedUrls = Record<string, RegExp[]>;

type UserPart = LanguageModelV4TextPart | LanguageModelV4FilePart;
type AssistantPart = Extract<LanguageModelV4Message, { role: 'assistant' }>['content'][number];

const NO_RESULT = 'This tool call was not completed, so it has no result.';
const EMPTY_FAILURE: Record<Exclude<ToolResultBlock['state'], 'success'>, string> = {
  error: 'The tool failed.',
  denied: 'The tool call was denied.',
  interrupted: 'The tool call was interrupted.',
  running: 'The tool call did not finish.',
};

/** The conversation as a provider takes it. URLs the model cannot fetch are named in words, and never fetched here. */
export function toPrompt(system: string, messages: readonly Msg[], urls: SupportedUrls = {}): LanguageModelV4Prompt {
  const prompt: LanguageModelV4Prompt = [];
  if (system !== '') prompt.push({ role: 'system', content: system });
  for (const message of messages) {
    switch (message.role) {
      case 'system': {
        const content = message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
        if (content !== '') prompt.push({ role: 'system', content });
        break;
      }
      case 'user':
        pushUser(prompt, userParts(message.content, urls));
        break;
      case 'assistant':
        pushReply(prompt, message.content, urls);
        break;
    }
  }
  return prompt;
}

/**
 * One reply holds the blocks of many model calls. Results and hints end a stretch of what the model said; every call of a stretch is
 * answered right after it, wherever its result lies and even if it has none, since providers reject a history with open calls.
 */
function pushReply(prompt: LanguageModelV4Prompt, content: readonly ContentBlock[], urls: SupportedUrls): void {
  const results = new Map<string, ToolResultBlock>();
  const called = new Set<string>();
  for (const block of content) {
    if (block.type === 'tool_result') results.set(block.id, block);
    if (block.type === 'tool_call') called.add(block.id);
  }
  let said: AssistantPart[] = [];
  let calls: ToolCallBlock[] = [];
  const endStretch = (): void => {
    if (said.length > 0) prompt.push({ role: 'assistant', content: said });
    if (calls.length > 0) {
      prompt.push({ role: 'tool', content: calls.map((call) => toResultPart(call, results.get(call.id))) });
      for (const { id } of calls) pushUser(prompt, attachments(results.get(id), urls));
    }
    said = [];
    calls = [];
  };
  for (const block of content) {
    switch (block.type) {
      case 'text':
        if (block.text !== '') said.push({ type: 'text', text: block.text, ...options(block) });
        break;
      case 'thinking':
        // A provider takes back only reasoning that it signed itself.
        if (options(block).providerOptions) said.push({ type: 'reasoning', text: block.thinking, ...options(block) });
        break;
      case 'data':
        said.push(toFilePart(block, urls));
        break;
      case 'tool_call':
        said.push({
          type: 'tool-call',
          toolCallId: block.id,
          toolName: block.name,
          input: parseInput(block.input),
          ...options(block),
        });
        calls.push(block);
        break;
      case 'tool_result':
        endStretch();
        if (!called.has(block.id)) {
          pushUser(prompt, [{ type: 'text', text: `Result of the tool ${block.name}: ${resultText(block)}` }]);
        }
        break;
      case 'hint':
        endStretch();
        pushUser(prompt, hintParts(block, urls));
        break;
    }
  }
  endStretch();
}

function pushUser(prompt: LanguageModelV4Prompt, content: UserPart[]): void {
  if (content.length > 0) prompt.push({ role: 'user', content });
}

function userParts(blocks: readonly ContentBlock[], urls: SupportedUrls): UserPart[] {
  return blocks.flatMap((block): UserPart[] => {
    if (block.type === 'text') return block.text === '' ? [] : [{ type: 'text', text: block.text }];
    if (block.type === 'data') return [toFilePart(block, urls)];
    return block.type === 'hint' ? hintParts(block, urls) : [];
  });
}

function hintParts({ hint }: HintBlock, urls: SupportedUrls): UserPart[] {
  if (typeof hint === 'string') return hint === '' ? [] : [{ type: 'text', text: hint }];
  return userParts(hint, urls);
}

function toResultPart(call: ToolCallBlock, result: ToolResultBlock | undefined): LanguageModelV4ToolResultPart {
  return { type: 'tool-result', toolCallId: call.id, toolName: call.name, output: toOutput(result) };
}

function toOutput(result: ToolResultBlock | undefined): LanguageModelV4ToolResultPart['output'] {
  if (result === undefined) return { type: 'error-text', value: NO_RESULT };
  const text = resultText(result);
  if (result.state === 'success') return { type: 'text', value: text };
  const failure = EMPTY_FAILURE[result.state];
  if (text === '') return { type: 'error-text', value: failure };
  return { type: 'error-text', value: result.state === 'running' ? `${text}\n${failure}` : text };
}

function resultText(result: ToolResultBlock): string {
  return result.output.map((block) => (block.type === 'text' ? block.text : `[${describe(block)}]`)).join('\n');
}

/** Not every provider takes files inside a tool result, so they follow it as a message of their own. */
function attachments(result: ToolResultBlock | undefined, urls: SupportedUrls): UserPart[] {
  const data = result?.output.filter((block) => block.type === 'data') ?? [];
  if (result === undefined || data.length === 0) return [];
  return [
    { type: 'text', text: `Output of the tool ${result.name}:` },
    ...data.map((block) => toFilePart(block, urls)),
  ];
}

/** Images, audio and PDF as files, text as text; anything else is only named. */
function toFilePart(block: DataBlock, urls: SupportedUrls): UserPart {
  const { source } = block;
  const mediaType = source.media_type.toLowerCase();
  if (source.type === 'base64' && (mediaType.startsWith('text/') || mediaType === 'application/json')) {
    const text = Buffer.from(source.data, 'base64').toString('utf8');
    return { type: 'text', text: block.name === null ? text : `${block.name}:\n${text}` };
  }
  const readable = /^(image|audio)\//.test(mediaType) || mediaType === 'application/pdf';
  const reachable = source.type === 'base64' || isSupported(source.url, mediaType, urls);
  if (!readable || !reachable) return { type: 'text', text: `[${describe(block)}]` };
  return {
    type: 'file',
    mediaType,
    ...(block.name !== null && { filename: block.name }),
    data: source.type === 'base64' ? { type: 'data', data: source.data } : { type: 'url', url: new URL(source.url) },
  };
}

function isSupported(url: string, mediaType: string, urls: SupportedUrls): boolean {
  const keys = [mediaType, `${mediaType.split('/')[0]}/*`, '*/*', '*'];
  return keys.some((key) => urls[key]?.some((pattern) => pattern.test(url.toLowerCase())));
}

function describe({ name, source }: DataBlock): string {
  return [source.media_type, name, source.type === 'url' ? source.url : null].filter((part) => part !== null).join(' ');
}

function parseInput(input: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(input);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
  } catch {
    // The model wrote faulty JSON and was told so by the result; providers take nothing but an object back.
    return {};
  }
}

function options(block: ContentBlock): { providerOptions?: SharedV4ProviderOptions } {
  const stored = block.metadata?.provider_options;
  return typeof stored === 'object' && stored !== null ? { providerOptions: stored as SharedV4ProviderOptions } : {};
}
