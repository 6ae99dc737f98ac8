import { describe, expect, it } from '@jest/globals';
import type { ContentBlock } from '../../../core/messages/block.js';
import type { Msg } from '../../../core/messages/message.js';
import { ModelError, type ModelCall, type ModelPart } from '../../../core/models/chat-model.js';
import { DemoChatModel } from './demo-model.js';
import { FAILURES } from './script.js';

const NOW = '2026-11-20T10:00:00.000Z';
const span = { created_at: NOW, finished_at: NOW };

function msg(role: Msg['role'], content: ContentBlock[]): Msg {
  const nothing = { finished_reason: null, usage: null, error: null, structured_output: null };
  return { id: role, name: role, role, content, metadata: {}, ...span, ...nothing };
}

const text = (value: string): ContentBlock => ({ type: 'text', id: value, text: value, ...span });
const user = (value: string): Msg => msg('user', [text(value)]);
const toolCall = (id: string, name: string): ContentBlock => ({
  type: 'tool_call',
  id,
  name,
  input: '{}',
  state: 'finished',
  suggested_rules: [],
  ...span,
});
const toolResult = (id: string, name: string, output: string): ContentBlock => ({
  type: 'tool_result',
  id,
  name,
  state: 'success',
  output: [{ type: 'text', id: `${id}-out`, text: output, ...span }],
  ...span,
});

function call(messages: Msg[], signal: AbortSignal = new AbortController().signal): ModelCall {
  return { system: 'Be kind always', messages, tools: [], parameters: {}, signal };
}

function model(): DemoChatModel {
  let made = 0;
  return new DemoChatModel('demo-1', () => `call_${++made}`);
}

async function play(...messages: Msg[]): Promise<ModelPart[]> {
  const parts: ModelPart[] = [];
  for await (const part of model().stream(call(messages))) parts.push(part);
  return parts;
}

const spoken = (parts: ModelPart[]): string[] => {
  const blocks = new Map<string, string>();
  for (const part of parts) {
    if (part.type === 'text_delta') blocks.set(part.id, (blocks.get(part.id) ?? '') + part.delta);
  }
  return [...blocks.values()];
};
const tools = (parts: ModelPart[]): string[] => parts.flatMap((p) => (p.type === 'tool_call_start' ? [p.name] : []));

describe('DemoChatModel', () => {
  it('streams a text word by word and reports words as tokens', async () => {
    expect(await play(user('/say Hello  my world'))).toEqual([
      { type: 'text_start', id: '0' },
      { type: 'text_delta', id: '0', delta: 'Hello  ' },
      { type: 'text_delta', id: '0', delta: 'my ' },
      { type: 'text_delta', id: '0', delta: 'world' },
      { type: 'text_end', id: '0' },
      {
        type: 'finish',
        usage: {
          input_tokens: 7,
          output_tokens: 3,
          cache_input_tokens: 0,
          cache_creation_input_tokens: 0,
          reasoning_tokens: 0,
        },
      },
    ]);
  });

  it.each(['  leading and trailing  ', 'one', '\t', 'tab\tand  two', 'ünï 🙂 cödé'])(
    'joins exactly to %j',
    async (said) => {
      expect(spoken(await play(user(`/say ${said}`)))).toEqual([said]);
    },
  );

  it('echoes what is no script, over several lines', async () => {
    expect(spoken(await play(user('Hello\n there')))).toEqual(['You said: Hello\n there']);
  });

  it('reads the last user message only', async () => {
    expect(spoken(await play(user('/say old'), msg('assistant', [text('old')]), user('/say new')))).toEqual(['new']);
    expect(spoken(await play())).toEqual(['You said: ']);
  });

  it('thinks and streams tokens', async () => {
    const parts = await play(user('/think so so\n/stream 3'));
    expect(parts.map((part) => part.type)).toEqual([
      'thinking_start',
      'thinking_delta',
      'thinking_delta',
      'thinking_end',
      'text_start',
      'text_delta',
      'text_delta',
      'text_delta',
      'text_end',
      'finish',
    ]);
    expect(spoken(parts)).toEqual(['tok0 tok1 tok2 ']);
  });

  it('makes parallel calls with the input as written', async () => {
    const input = `{"long": "${'🙂'.repeat(50)}", oops`;
    const parts = await play(user(`/tool a ${input}\n/tool b\n/say later`));
    expect(tools(parts)).toEqual(['a', 'b']);
    const inputs: Record<string, string> = {};
    for (const part of parts) {
      if (part.type === 'tool_call_delta') inputs[part.id] = (inputs[part.id] ?? '') + part.delta;
    }
    expect(inputs).toEqual({ call_1: input, call_2: '{}' });
    expect(spoken(parts)).toEqual([]);
  });

  it('goes on after the results, turn by turn, and ends with what the last tools gave', async () => {
    const script = user('/say one\n/tool a\n/tool b\n/then\n/say two\n/tool c');
    const first = [
      text('one'),
      toolCall('1', 'a'),
      toolCall('2', 'b'),
      toolResult('2', 'b', 'B'),
      toolResult('1', 'a', 'A'),
    ];
    const second = [...first, text('two'), toolCall('3', 'c'), toolResult('3', 'c', 'C')];
    expect(tools(await play(script))).toEqual(['a', 'b']);
    const turn = await play(script, msg('assistant', first));
    expect([spoken(turn), tools(turn)]).toEqual([['two'], ['c']]);
    expect(spoken(await play(script, msg('assistant', second)))).toEqual(['Done: c -> C']);
    expect(spoken(await play(user('/tool a\n/tool b'), msg('assistant', first)))).toEqual([
      'Done: a -> A\nDone: b -> B',
    ]);
  });

  it('does not depend on the order of calls and results', async () => {
    const reply = [toolCall('1', 'a'), toolResult('1', 'a', 'A'), toolCall('2', 'b'), toolResult('2', 'b', 'B')];
    expect(spoken(await play(user('/tool a\n/tool b\n/say end'), msg('assistant', reply)))).toEqual(['end']);
  });

  it('makes the rest of a group of which a crash kept a part', async () => {
    const reply = [text('x'), toolCall('1', 'a'), toolResult('1', 'a', 'A')];
    const parts = await play(user('/say x\n/tool a\n/tool b\n/say end'), msg('assistant', reply));
    expect([spoken(parts), tools(parts)]).toEqual([[], ['b']]);
  });

  it.each(FAILURES)('fails as %s in mid-stream', async (type) => {
    const seen: ModelPart[] = [];
    const playing = (async () => {
      for await (const part of model().stream(call([user(`/say a b\n/fail ${type}\n/say never`)]))) seen.push(part);
    })();
    const error: unknown = await playing.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).type).toBe(type);
    expect(seen.map((part) => part.type)).toEqual(['text_start', 'text_delta', 'text_delta']);
  });

  it.each(['/sleep 3600000', '/stream 2 3600000'])('ends %s in the tick of the abort', async (script) => {
    const controller = new AbortController();
    const reason = new Error('stopped');
    const parts = model().stream(call([user(`/say a\n${script}`)], controller.signal));
    await parts.next();
    await parts.next();
    if (script.startsWith('/stream')) {
      await parts.next();
      await parts.next();
    }
    let ended: unknown;
    void parts.next().catch((error: unknown) => (ended = error));
    await Promise.resolve();
    controller.abort(reason);
    // The rejection passes through a few microtasks; no timer and no I/O lies in between.
    for (let i = 0; i < 20; i++) await Promise.resolve();
    expect(ended).toBe(reason);
  });

  it('says nothing under an aborted signal, nor after an abort between two words', async () => {
    await expect(
      model()
        .stream(call([user('/say a')], AbortSignal.abort('no')))
        .next(),
    ).rejects.toBe('no');
    const controller = new AbortController();
    const parts = model().stream(call([user('/stream 100000')], controller.signal));
    await parts.next();
    await parts.next();
    controller.abort('enough');
    await expect(parts.next()).rejects.toBe('enough');
  });

  it('streams without a turn of the event loop', async () => {
    let turned = false;
    const turn = setImmediate(() => (turned = true));
    expect((await play(user('/stream 2000'))).length).toBe(2003);
    expect(turned).toBe(false);
    clearImmediate(turn);
  });
});
