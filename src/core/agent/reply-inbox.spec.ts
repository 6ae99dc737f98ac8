import { describe, expect, it } from '@jest/globals';
import { PlayedReply, whenApplied } from '../testing/played-reply.js';
import { request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import type { Hint, Inbox } from './reply-request.js';

const source = '{"label":"Schedule"}';
const hint = (id: string, content: Hint['hint'] = `Hint ${id}`): Hint => ({ id, hint: content, source });
const done: ScriptStep[] = [...text('Done'), finish()];

class Box implements Inbox {
  readonly waiting: Hint[] = [];
  looks = 0;

  get hasHints(): boolean {
    return this.waiting.length > 0;
  }

  async take(): Promise<Hint[]> {
    this.looks += 1;
    return this.waiting.splice(0);
  }
}

function scene(box: Inbox, scripts: ScriptStep[][] = [done]) {
  const model = new ScriptedModel(scripts);
  const echo = tool('echo', async function* () {
    if (box instanceof Box) box.waiting.push(hint('later'));
    yield { type: 'text', text: 'x' };
  });
  return { model, played: new PlayedReply(request(model, { tools: [echo], inbox: box })) };
}

const hints = ({ msg }: PlayedReply) => msg.content.flatMap((block) => (block.type === 'hint' ? [block.id] : []));

describe('what others left for the agent', () => {
  it('is said before its next turn, in order, under the ids it came with', async () => {
    const box = new Box();
    box.waiting.push(hint('h1'), hint('h2'));
    const { played, model } = scene(box);
    expect((await played.play()).slice(0, 4)).toEqual([
      'REPLY_START',
      'HINT_BLOCK',
      'HINT_BLOCK',
      'MODEL_CALL_START scripted',
    ]);
    expect(model.calls[0]?.messages.at(-1)?.content).toMatchObject([
      { type: 'hint', id: 'h1', hint: 'Hint h1', source },
      { type: 'hint', id: 'h2' },
    ]);
  });

  it('that comes while a tool runs is said behind its result', async () => {
    const { played, model } = scene(new Box(), [[...toolCall('a', 'echo'), finish()], done]);
    await played.play();
    expect(played.msg.content.map((block) => block.type)).toEqual(['tool_call', 'tool_result', 'hint', 'text']);
    expect(model.calls[1]?.messages.at(-1)?.content.at(-1)).toMatchObject({ type: 'hint', id: 'later' });
  });

  it('is not looked for when there is none', async () => {
    const box = new Box();
    await scene(box).played.play();
    expect(box.looks).toBe(0);
  });

  it('is said once, when it is given again after a crash', async () => {
    const box = new Box();
    box.waiting.push(hint('h1'), hint('h1'));
    const { played } = scene(box, [[...toolCall('a', 'echo'), finish()], done]);
    whenApplied(played.request, 'TOOL_RESULT_END', () => void box.waiting.push(hint('h1')));
    await played.play();
    expect(hints(played)).toEqual(['h1', 'later']);
  });

  it('can hold text that no database takes, and blocks', async () => {
    const box = new Box();
    const base = { created_at: new Date(0).toISOString(), finished_at: null };
    box.waiting.push(hint('h1', 'a\0b'), {
      ...hint('h2', [{ type: 'text', id: 't', text: '\ud800', ...base }]),
      source: null,
    });
    const { played } = scene(box);
    await played.play();
    expect(played.msg.content.slice(0, 2)).toMatchObject([
      { hint: 'a\ufffdb' },
      { hint: [{ text: '\ufffd' }], source: null },
    ]);
  });

  it('that cannot be had fails the reply', async () => {
    const { played } = scene({ hasHints: true, take: () => Promise.reject(new Error('secret')) });
    expect(await played.play()).toEqual(['REPLY_START', 'REPLY_END error internal']);
  });

  it('does not keep the reply from being stopped', async () => {
    const stop = new AbortController();
    const take = () => {
      stop.abort(new Error('stop'));
      return new Promise<never>(() => undefined);
    };
    const { played } = scene({ hasHints: true, take });
    expect(await played.play([], { signal: stop.signal })).toEqual(['REPLY_START', 'REPLY_END interrupted']);
  });
});
