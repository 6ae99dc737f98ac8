import type {
  LanguageModelV4Message,
  LanguageModelV4Prompt,
  LanguageModelV4ToolResultPart,
  SharedV4ProviderOptions,
} from '@ai-sdk/provider';
import type { ContentBlock, DataBlock, HintBlock, ToolCallBlock, ToolResultBlock } from '../../core/messages/block.js';
import type { Msg } from '../../core/messages/message.js';
import { type MediaContext, type MediaPart, mention, toMediaPart } from './media.js';

export interface PromptContext extends MediaContext {
  readonly thinking: 'signed' | 'all';
}

type AssistantPart = Extract<LanguageModelV4Message, { role: 'assistant' }>['content'][number];

const NO_RESULT = 'This tool call was not completed, so it has no result.';
const EMPTY_FAILURE: Record<Exclude<ToolResultBlock['state'], 'success'>, string> = {
  error: 'The tool failed.',
  denied: 'The tool call was denied.',
  interrupted: 'The tool call was interrupted.',
  running: 'The tool call did not finish.',
};

/** The conversation as a provider takes it. Media the model does not take are named in words; nothing is fetched here. */
export function toPrompt(system: string, messages: readonly Msg[], context: PromptContext): LanguageModelV4Prompt {
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
        pushUser(prompt, userParts(message.content, context));
        break;
      case 'assistant':
        pushReply(prompt, message.content, context);
        break;
    }
  }
  return prompt;
}

/**
 * One reply holds the blocks of many model calls. Results and hints end a stretch of what the model said; every call of a stretch is
 * answered right after it, wherever its result lies and even if it has none, since providers reject a history with open calls.
 */
function pushReply(prompt: LanguageModelV4Prompt, content: readonly ContentBlock[], context: PromptContext): void {
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
      prompt.push({ role: 'tool', content: calls.map((call) => toResultPart(call, results.get(call.id), context)) });
      for (const { id } of calls) pushUser(prompt, attachments(results.get(id), context));
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
        if (options(block).providerOptions || (context.thinking === 'all' && block.thinking !== '')) {
          said.push({ type: 'reasoning', text: block.thinking, ...options(block) });
        }
        break;
      case 'data':
        said.push(ownFile(block, context));
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
          pushUser(prompt, [{ type: 'text', text: `Result of the tool ${block.name}: ${resultText(block, context)}` }]);
        }
        break;
      case 'hint':
        endStretch();
        pushUser(prompt, hintParts(block, context));
        break;
    }
  }
  endStretch();
}

function pushUser(prompt: LanguageModelV4Prompt, content: MediaPart[]): void {
  if (content.length > 0) prompt.push({ role: 'user', content });
}

function userParts(blocks: readonly ContentBlock[], context: MediaContext): MediaPart[] {
  return blocks.flatMap((block): MediaPart[] => {
    if (block.type === 'text') return block.text === '' ? [] : [{ type: 'text', text: block.text }];
    if (block.type === 'data') return [toMediaPart(block, context)];
    return block.type === 'hint' ? hintParts(block, context) : [];
  });
}

function hintParts({ hint }: HintBlock, context: MediaContext): MediaPart[] {
  if (typeof hint === 'string') return hint === '' ? [] : [{ type: 'text', text: hint }];
  return userParts(hint, context);
}

/** A file the model made. Few providers take one in the model's own turn, and none takes an address there. */
function ownFile(block: DataBlock, context: MediaContext): MediaPart {
  const part = toMediaPart(block, context);
  const goes = part.type === 'file' && part.data.type === 'data' && context.rules.in_replies === true;
  return goes ? part : { type: 'text', text: mention(block) };
}

function toResultPart(
  call: ToolCallBlock,
  result: ToolResultBlock | undefined,
  context: MediaContext,
): LanguageModelV4ToolResultPart {
  return { type: 'tool-result', toolCallId: call.id, toolName: call.name, output: toOutput(result, context) };
}

function toOutput(result: ToolResultBlock | undefined, context: MediaContext): LanguageModelV4ToolResultPart['output'] {
  if (result === undefined) return { type: 'error-text', value: NO_RESULT };
  const text = resultText(result, context);
  if (result.state === 'success') return { type: 'text', value: text };
  const failure = EMPTY_FAILURE[result.state];
  if (text === '') return { type: 'error-text', value: failure };
  return { type: 'error-text', value: result.state === 'running' ? `${text}\n${failure}` : text };
}

/** Files that follow as attachments are only mentioned. */
function resultText(result: ToolResultBlock, context: MediaContext): string {
  return result.output
    .map((block) => {
      if (block.type === 'text') return block.text;
      const part = toMediaPart(block, context);
      return part.type === 'text' ? part.text : mention(block);
    })
    .join('\n');
}

/** Not every provider takes files inside a tool result, so they follow it as a message of their own. */
function attachments(result: ToolResultBlock | undefined, context: MediaContext): MediaPart[] {
  const files = (result?.output ?? []).flatMap((block) => {
    const part = block.type === 'data' ? toMediaPart(block, context) : undefined;
    return part?.type === 'file' ? [part] : [];
  });
  if (result === undefined || files.length === 0) return [];
  return [{ type: 'text', text: `Output of the tool ${result.name}:` }, ...files];
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
