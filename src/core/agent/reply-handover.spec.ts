import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { ModelError } from '../models/chat-model.js';
import { collect, outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import type { Tool } from './tool.js';

const echo = tool('echo', async function* () {
  yield { type: 'text', text: 'x' };
});

/** A reply that is handed over when something happens. */
function leaving(scripts: ConstructorParameters<typeof ScriptedModel>[0], tools: Tool[] = [echo]) {
  const controller = new AbortController();
  const model = new ScriptedModel(scripts);
  const req = request(model, { tools, handover: controller.signal });
  const leave = () => controller.abort();
  const play = async (onEvent?: (event: AgentEvent) => void) => {
    const events = await collect(req, onEvent);
    checkGrammar(events);
    expect(events.map((event) => event.type)).not.toContain('REPLY_END');
    expect(req.reply.msg.finished_at).toBeNull();
    return outline(events);
  };
  return { req, model, leave, play };
}

const when = (line: AgentEvent['type'], act: () => void) => (event: AgentEvent) => void (event.type === line && act());

describe('a reply that is handed over', () => {
  it('gives up the model call under way, and tells the model', async () => {
    const { leave, model, play } = leaving([[...text('Hi'), () => leave(), 'hang']]);
    expect((await play()).at(-1)).toBe('TEXT_BLOCK_END');
    expect(model.calls[0]?.signal.aborted).toBe(true);
  });

  it('gives up the model call between two parts', async () => {
    const { leave, model, play } = leaving([[...text('Hi'), ...text('More', 'u'), finish()]]);
    const lines = await play(when('TEXT_BLOCK_END', leave));
    expect(lines.slice(-1)).toEqual(['TEXT_BLOCK_END']);
    expect(lines).toHaveLength(5);
    expect(model.calls).toHaveLength(1);
  });

  it('calls no model when it is to be left already', async () => {
    const { leave, model, play } = leaving([]);
    leave();
    expect(await play()).toEqual(['REPLY_START']);
    expect(model.calls).toHaveLength(0);
  });

  it('does not wait for the next attempt of a model', async () => {
    const controller = new AbortController();
    const sleep = () => {
      controller.abort();
      return new Promise<never>(() => undefined);
    };
    const failure = new ModelError('rate_limit', 'later');
    const req = request(new ScriptedModel([[failure]]), { handover: controller.signal, sleep });
    const lines = outline(await collect(req));
    expect(lines).toEqual(['REPLY_START', 'MODEL_CALL_START scripted', 'MODEL_CALL_END interrupted rate_limit']);
  });

  it('begins no tool after a model turn', async () => {
    const { leave, play } = leaving([[...toolCall('a', 'echo'), finish()]]);
    expect((await play(when('MODEL_CALL_END', leave))).at(-1)).toBe('MODEL_CALL_END completed');
  });

  it('begins no other tool behind the one that ran', async () => {
    const { leave, model, play } = leaving([[...toolCall('a', 'echo'), ...toolCall('b', 'echo'), finish()]]);
    const lines = await play(when('TOOL_RESULT_END', leave));
    expect(lines.at(-1)).toBe('TOOL_RESULT_END a success');
    expect(lines.join()).not.toContain('TOOL_RESULT_START b');
    expect(model.calls).toHaveLength(1);
  });

  it('waits for a tool that runs, which is not told', async () => {
    let signal: AbortSignal | undefined;
    const slow = tool('slow', async function* (_input, context) {
      ({ signal } = context);
      yield { type: 'text', text: 'one' };
      await new Promise((resolve) => setImmediate(resolve));
      yield { type: 'text', text: context.signal.aborted ? 'aborted' : 'two' };
    });
    const { leave, play } = leaving([[...toolCall('a', 'slow'), finish()]], [slow]);
    const lines = await play(when('TOOL_RESULT_TEXT_DELTA', leave));
    expect(lines.slice(-3)).toEqual([
      'TOOL_RESULT_TEXT_DELTA a "one"',
      'TOOL_RESULT_TEXT_DELTA a "two"',
      'TOOL_RESULT_END a success',
    ]);
    expect(signal).toBeDefined();
  });

  it('waits for all tools that run together', async () => {
    const gate: { open?: () => void } = {};
    const opened = new Promise<void>((resolve) => (gate.open = resolve));
    const safe = { is_concurrency_safe: true };
    const slow = tool(
      'slow',
      async function* () {
        await opened;
        yield { type: 'text', text: 'slow' };
      },
      safe,
    );
    const quick = tool(
      'quick',
      async function* () {
        yield { type: 'text', text: 'quick' };
      },
      safe,
    );
    const { leave, play } = leaving([[...toolCall('a', 'slow'), ...toolCall('b', 'quick'), finish()]], [slow, quick]);
    const lines = await play(
      when('TOOL_RESULT_END', () => {
        leave();
        gate.open?.();
      }),
    );
    expect(lines.filter((line) => line.startsWith('TOOL_RESULT_END'))).toEqual([
      'TOOL_RESULT_END b success',
      'TOOL_RESULT_END a success',
    ]);
  });

  it('leaves even the end to who goes on', async () => {
    const { leave, play } = leaving([[...text('Done'), finish()]]);
    expect((await play(when('MODEL_CALL_END', leave))).at(-1)).toBe('MODEL_CALL_END completed');
  });

  it('is interrupted when it is stopped, too', async () => {
    const [stop, handover] = [new AbortController(), new AbortController()];
    const model = new ScriptedModel([[...text('Hi'), finish()]]);
    const req = request(model, { signal: stop.signal, handover: handover.signal });
    const events = await collect(req, (event) => {
      if (event.type !== 'MODEL_CALL_END') return;
      handover.abort();
      stop.abort(new Error('stop'));
    });
    expect(outline(events).at(-1)).toBe('REPLY_END interrupted');
    checkGrammar(events, { complete: true });
  });
});

describe('onToolsStarting', () => {
  it('is awaited before any of its tools runs, once for those that run together', async () => {
    const log: string[] = [];
    const noting = (name: string, is_concurrency_safe: boolean) =>
      tool(
        name,
        async function* (_input, { tool_call_id }) {
          log.push(`run ${tool_call_id}`);
          yield { type: 'text', text: 'x' };
        },
        { is_concurrency_safe },
      );
    const calls = [...toolCall('a', 'safe'), ...toolCall('b', 'safe'), ...toolCall('c', 'alone')];
    const model = new ScriptedModel([
      [...calls, finish()],
      [...text('Done'), finish()],
    ]);
    const req = request(model, {
      tools: [noting('safe', true), noting('alone', false)],
      onToolsStarting: async (starting) => {
        const ids = starting.map((call) => call.id).join('+');
        log.push(`asked ${ids}`);
        await new Promise((resolve) => setImmediate(resolve));
        log.push(`on record ${ids}`);
      },
    });
    await collect(req);
    expect(log).toEqual(['asked a+b', 'on record a+b', 'run a', 'run b', 'asked c', 'on record c', 'run c']);
  });

  it('keeps the tools from running when it fails', async () => {
    let ran = false;
    const noted = tool('noted', async function* () {
      ran = true;
      yield { type: 'text', text: 'x' };
    });
    const model = new ScriptedModel([[...toolCall('a', 'noted'), finish()]]);
    const onToolsStarting = () => Promise.reject(new Error('not on record'));
    const events = await collect(request(model, { tools: [noted], onToolsStarting }));
    expect(outline(events).slice(-2)).toEqual(['TOOL_RESULT_END a error', 'REPLY_END error internal']);
    expect(ran).toBe(false);
    checkGrammar(events, { complete: true });
  });

  it('is where a stop keeps the tools from running', async () => {
    let ran = false;
    const controller = new AbortController();
    const noted = tool('noted', async function* () {
      ran = true;
      yield { type: 'text', text: 'x' };
    });
    const model = new ScriptedModel([[...toolCall('a', 'noted'), finish()]]);
    const onToolsStarting = async () => controller.abort(new Error('stop'));
    const events = await collect(request(model, { tools: [noted], onToolsStarting, signal: controller.signal }));
    expect(outline(events).slice(-2)).toEqual(['TOOL_RESULT_END a interrupted', 'REPLY_END interrupted']);
    expect(ran).toBe(false);
  });
});
