import { randomUUID } from 'node:crypto';
import type { ContentBlock, ToolResultBlock } from '../../../core/messages/block.js';
import type { Msg } from '../../../core/messages/message.js';
import { type ChatModel, type ModelCall, ModelError, type ModelPart } from '../../../core/models/chat-model.js';
import { parseScript, type ScriptedCall, type Step, type Turn } from './script.js';

const CALL_CHUNK = /[^]{1,32}/gu;

/** No AI: it plays the script it finds in the last user message. */
export class DemoChatModel implements ChatModel {
  readonly provider = 'demo';

  constructor(
    readonly name: string,
    private readonly newCallId: () => string = () => `call_${randomUUID()}`,
  ) {}

  async *stream(call: ModelCall): AsyncGenerator<ModelPart, void, undefined> {
    const { signal } = call;
    signal.throwIfAborted();
    const { request, reply } = lastExchange(call.messages);
    const { steps, calls } = nextTurn(parseScript(request), reply);
    const voice = new Voice();
    for (const step of steps) yield* play(step, voice, signal);
    yield* voice.close();
    for (const { name, input } of calls) {
      signal.throwIfAborted();
      const id = this.newCallId();
      yield { type: 'tool_call_start', id, name };
      for (const [delta] of input.matchAll(CALL_CHUNK)) yield { type: 'tool_call_delta', id, delta };
      yield { type: 'tool_call_end', id };
      voice.words += 1 + countWords(input);
    }
    signal.throwIfAborted();
    yield {
      type: 'finish',
      usage: {
        // Words as tokens. Only the system prompt and the last user message are counted: a long history must not make a turn dearer.
        input_tokens: countWords(call.system) + countWords(request),
        output_tokens: voice.words,
        cache_input_tokens: 0,
        cache_creation_input_tokens: 0,
        reasoning_tokens: voice.thoughts,
      },
    };
  }
}

/** Writes blocks; a block stays open until the next one begins, so that a wait or a failure after it falls in mid-stream. */
class Voice {
  words = 0;
  /** Those of them that were only thought. */
  thoughts = 0;
  private blocks = 0;
  private open: { id: string; end: 'text_end' | 'thinking_end' } | undefined;

  *begin(kind: 'text' | 'thinking'): Generator<ModelPart, string> {
    yield* this.close();
    const id = String(this.blocks++);
    this.open = { id, end: `${kind}_end` };
    yield { type: `${kind}_start`, id };
    return id;
  }

  count(kind: 'text' | 'thinking'): void {
    this.words++;
    if (kind === 'thinking') this.thoughts++;
  }

  *close(): Generator<ModelPart> {
    if (this.open === undefined) return;
    const { id, end } = this.open;
    this.open = undefined;
    yield { type: end, id };
  }
}

async function* play(step: Step, voice: Voice, signal: AbortSignal): AsyncGenerator<ModelPart> {
  signal.throwIfAborted();
  switch (step.kind) {
    case 'say':
    case 'think': {
      const kind = step.kind === 'say' ? 'text' : 'thinking';
      const id = yield* voice.begin(kind);
      for (const [delta, word] of step.text.matchAll(/(\S+)\s*|^\s+/g)) {
        signal.throwIfAborted();
        if (word !== undefined) voice.count(kind);
        yield { type: `${kind}_delta`, id, delta };
      }
      return;
    }
    case 'stream': {
      const id = yield* voice.begin('text');
      for (let i = 0; i < step.count; i++) {
        if (step.delay_ms > 0) await sleep(step.delay_ms, signal);
        signal.throwIfAborted();
        voice.words++;
        yield { type: 'text_delta', id, delta: `tok${i} ` };
      }
      return;
    }
    case 'sleep':
      return sleep(step.ms, signal);
    case 'fail':
      throw new ModelError(step.type, 'The demo script asked for this failure.');
  }
}

/** The last user message and what was answered to it since. */
function lastExchange(messages: readonly Msg[]): { request: string; reply: ContentBlock[] } {
  const at = messages.findLastIndex((message) => message.role === 'user');
  const request = at < 0 ? '' : textOf(messages[at]?.content ?? []);
  const answers = messages.slice(at + 1).filter((message) => message.role === 'assistant');
  return { request, reply: answers.flatMap((message) => message.content) };
}

/**
 * Which turn is due follows from the number of calls made so far, since a script fixes how many each turn makes. This holds in whatever
 * order calls and results lie, and when a crash kept only some calls of a group: then the rest of the group is due.
 */
function nextTurn(turns: readonly Turn[], reply: readonly ContentBlock[]): Turn {
  let made = reply.reduce((count, block) => count + (block.type === 'tool_call' ? 1 : 0), 0);
  let answered: readonly ScriptedCall[] = [];
  for (const turn of turns) {
    if (made === 0) return turn;
    if (made < turn.calls.length) return { steps: [], calls: turn.calls.slice(made) };
    made -= turn.calls.length;
    if (turn.calls.length > 0) answered = turn.calls;
    else return turn;
  }
  const text = answered.length > 0 ? summarise(reply, answered.length) : 'The script says nothing.';
  return { steps: [{ kind: 'say', text }], calls: [] };
}

function summarise(reply: readonly ContentBlock[], count: number): string {
  const results = new Map<string, ToolResultBlock>();
  for (const block of reply) if (block.type === 'tool_result') results.set(block.id, block);
  return reply
    .filter((block) => block.type === 'tool_call')
    .slice(-count)
    .map(({ id, name }) => `Done: ${name} -> ${textOf(results.get(id)?.output ?? [])}`)
    .join('\n');
}

function textOf(blocks: readonly ContentBlock[]): string {
  return blocks.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n');
}

function countWords(text: string): number {
  const words = /\S+/g;
  let count = 0;
  while (words.test(text)) count++;
  return count;
}

/** Ends in the very tick of an abort, with the signal's reason. */
function sleep(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) return reject(signal.reason as Error);
    const onAbort = (): void => {
      clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, ms);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}
