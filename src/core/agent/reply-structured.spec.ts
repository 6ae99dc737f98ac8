import { describe, expect, it } from '@jest/globals';
import { permissionContext, withRules } from '../permissions/permission-context.js';
import { outcomes, PlayedReply, whenApplied } from '../testing/played-reply.js';
import { request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';
import { STRUCTURED_OUTPUT_TOOL, STRUCTURED_REMINDER } from './structured-output.js';
import { Toolkit } from './toolkit.js';

const structured = {
  type: 'object',
  properties: { city: { type: 'string' } },
  required: ['city'],
  additionalProperties: false,
};
const echo = tool('echo', async function* () {
  yield { type: 'text', text: 'x' };
});
const gives = (id: string, input: unknown = { city: 'Oslo' }) => toolCall(id, STRUCTURED_OUTPUT_TOOL, input);
const calls = (id: string) => [...toolCall(id, 'echo'), finish()];
const says = (words = 'Oslo.'): ScriptStep[] => [...text(words), finish()];

function scene(scripts: ScriptStep[][], rest: Partial<ReplyRequest> = {}) {
  const model = new ScriptedModel(scripts);
  const played = new PlayedReply(request(model, { tools: [echo], structured, ...rest }));
  /** What each turn was offered. */
  const offers = () => model.calls.map((call) => call.tools.map((it) => it.name).join());
  return { model, played, offers };
}

const reminders = ({ msg }: PlayedReply) =>
  msg.content.filter((block) => block.type === 'hint' && block.hint === STRUCTURED_REMINDER).length;

describe('a reply that is bound to a schema', () => {
  it('ends with what the model gives at once', async () => {
    const { played, model, offers } = scene([[...gives('s'), finish()]]);
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END s success', 'REPLY_END completed']);
    expect(played.events.at(-1)).toMatchObject({ structured_output: { city: 'Oslo' } });
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
    expect(offers()).toEqual([`echo,${STRUCTURED_OUTPUT_TOOL}`]);
    expect(model.calls[0]?.tools[1]?.input_schema).toBe(structured);
  });

  it('may use other tools before, and beside it', async () => {
    const { played, model } = scene([calls('a'), [...toolCall('b', 'echo'), ...gives('s'), finish()]]);
    expect(outcomes(await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(played.result('b').state).toBe('success');
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
    expect(model.calls).toHaveLength(2);
  });

  it.each([[{ city: 1 }], [{}], [{ city: 'Oslo', more: 1 }], ['{"city":']])(
    'lets the model try again after %j',
    async (wrong) => {
      const { played } = scene([
        [...gives('s', wrong), finish()],
        [...gives('t'), finish()],
      ]);
      expect(outcomes(await played.play())).toEqual([
        'TOOL_RESULT_END s error',
        'TOOL_RESULT_END t success',
        'REPLY_END completed',
      ]);
      expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
    },
  );

  it('reminds a model that answers in words', async () => {
    const { played, model } = scene([says(), [...gives('s'), finish()]]);
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(reminders(played)).toBe(1);
    expect(model.calls[1]?.messages.at(-1)?.content.at(-1)).toMatchObject({ type: 'hint', hint: STRUCTURED_REMINDER });
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });

  it('takes the last of several answers', async () => {
    const { played } = scene([[...gives('s'), ...gives('t', { city: 'Rome' }), ...gives('u', {}), finish()]]);
    await played.play();
    expect(played.msg.structured_output).toEqual({ city: 'Rome' });
  });

  it('is offered only that tool when its turns are over, and is told so once', async () => {
    const scripts = [calls('a'), calls('b'), calls('c'), [...gives('s'), finish()]];
    const { played, offers } = scene(scripts, { max_iters: 2, structured_grace_iters: 2 });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    const whole = `echo,${STRUCTURED_OUTPUT_TOOL}`;
    expect(offers()).toEqual([whole, whole, STRUCTURED_OUTPUT_TOOL, STRUCTURED_OUTPUT_TOOL]);
    expect(reminders(played)).toBe(1);
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });

  it('has too many turns in the end when the model never comes to it', async () => {
    const { played, model } = scene([says(), says(), says(), says()], { max_iters: 2, structured_grace_iters: 2 });
    expect((await played.play()).slice(-2)).toEqual(['EXCEED_MAX_ITERS', 'REPLY_END exceed_max_iters']);
    expect(played.msg.structured_output).toBeNull();
    expect(played.events.at(-1)).not.toHaveProperty('structured_output');
    expect(model.calls).toHaveLength(4);
  });

  it('has five more turns when nobody says otherwise', async () => {
    const { played, model } = scene(new Array<ScriptStep[]>(6).fill(says()), { max_iters: 1 });
    expect((await played.play()).at(-1)).toBe('REPLY_END exceed_max_iters');
    expect(model.calls).toHaveLength(6);
  });

  it('may give an empty object', async () => {
    const { played } = scene([[...gives('s', ''), finish()]], { structured: { type: 'object' } });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(played.msg.structured_output).toEqual({});
  });

  it('gives its answer in a session that only explores', async () => {
    const { played } = scene([[...gives('s'), finish()]], { permissions: permissionContext('explore') });
    await played.play();
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });

  it('does not take an answer that was denied', async () => {
    const rule = { tool_name: STRUCTURED_OUTPUT_TOOL, rule_content: null, behavior: 'deny', source: 'test' } as const;
    const permissions = withRules(permissionContext('bypass'), [rule]);
    const options = { permissions, max_iters: 1, structured_grace_iters: 0 };
    const { played } = scene([[...gives('s'), finish()]], options);
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END s denied', 'REPLY_END exceed_max_iters']);
    expect(played.msg.structured_output).toBeNull();
  });

  it('asks nobody for leave to give the answer that was asked for', async () => {
    const rule = { tool_name: STRUCTURED_OUTPUT_TOOL, rule_content: null, behavior: 'ask', source: 'test' } as const;
    const permissions = withRules(permissionContext('default'), [rule]);
    const { played } = scene([[...gives('s'), finish()]], { permissions });
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END s success', 'REPLY_END completed']);
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });

  it('can give its answer whatever tools are switched off', async () => {
    const toolkit = new Toolkit([echo], { disabled: ['echo', STRUCTURED_OUTPUT_TOOL] });
    const { played, offers } = scene([[...gives('s'), finish()]], { toolkit });
    await played.play();
    expect(offers()).toEqual([STRUCTURED_OUTPUT_TOOL]);
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });

  it('is told of an answer that is nested too deep to be stored', async () => {
    const deep = `{"city":${'['.repeat(50_000)}${']'.repeat(50_000)}}`;
    const scripts = [
      [...gives('s', deep), finish()],
      [...gives('t', { city: [] }), finish()],
    ];
    const { played } = scene(scripts, { structured: { type: 'object' } });
    expect(outcomes(await played.play())).toEqual([
      'TOOL_RESULT_END s error',
      'TOOL_RESULT_END t success',
      'REPLY_END completed',
    ]);
    expect(played.msg.structured_output).toEqual({ city: [] });
  });

  it.each([
    ['an expression that backtracks', { properties: { city: { type: 'string', pattern: '^(a+)+$' } } }],
    ['a schema that is itself without end', { allOf: [{ $ref: '#' }] }],
  ])('fails neither for long nor for good over %s', async (_, more) => {
    const script = [...gives('s', { city: `${'a'.repeat(40)}!` }), ...gives('t', { city: 'b' }), finish()];
    const options = { structured: { type: 'object', ...more }, max_iters: 1, structured_grace_iters: 0 };
    const { played } = scene([script], options);
    const begun = performance.now();
    expect((await played.play()).at(-1)).toBe('REPLY_END exceed_max_iters');
    expect(performance.now() - begun).toBeLessThan(2000);
    expect(played.result('s').state).toBe('error');
  });

  it('beside a call that is asked about waits for the answer, then ends', async () => {
    const permissions = permissionContext('default');
    const { played, model } = scene([[...gives('s'), ...toolCall('a', 'echo'), finish()]], { permissions });
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END s success', 'REQUIRE_USER_CONFIRM']);
    expect(played.msg.structured_output).toBeNull();
    const lines = await played.play([played.confirm({ id: 'a', confirmed: true })]);
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a success', 'REPLY_END completed']);
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
    expect(model.calls).toHaveLength(1);
  });

  it('only ends when its answer was on record already', async () => {
    const handover = new AbortController();
    const { played, model } = scene([[...gives('s'), finish()]]);
    whenApplied(played.request, 'TOOL_RESULT_END', () => handover.abort());
    await expect(played.play([], { handover: handover.signal })).rejects.toThrow('in the middle of a reply');
    expect(played.msg.finished_at).toBeNull();
    played.rewind();
    expect(await played.play()).toEqual(['REPLY_START', 'REPLY_END completed']);
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
    expect(model.calls).toHaveLength(1);
  });

  it('forgets its answer when it is opened again', async () => {
    const { played } = scene([[...gives('s'), finish()]]);
    await played.play();
    played.rewind();
    expect(played.msg.structured_output).toBeNull();
    await played.play();
    expect(played.msg.structured_output).toEqual({ city: 'Oslo' });
  });
});
