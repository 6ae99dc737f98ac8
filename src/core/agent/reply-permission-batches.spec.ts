import { describe, expect, it } from '@jest/globals';
import { permissionContext, withRules } from '../permissions/permission-context.js';
import { asking, one, rule, scene, suggestion } from '../testing/permission-scene.js';
import { outcomes } from '../testing/played-reply.js';
import { toolCall } from '../testing/scripted-model.js';

describe('calls of one turn', () => {
  const two = [...one, ...toolCall('b', 'write', { n: 2 })];

  it('that one suggestion covers are asked about once; when it is taken, the other runs without a question', async () => {
    const { played, log } = scene(two);
    await played.play();
    expect(played.named('REQUIRE_USER_CONFIRM').map((call) => call.id)).toEqual(['a']);
    expect(played.call('b').state).toBe('pending');
    const permissions = withRules(asking, [suggestion]);
    const lines = await played.play([played.confirm({ id: 'a', confirmed: true })], { permissions });
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a success', 'TOOL_RESULT_END b success', 'REPLY_END completed']);
    expect(log).toEqual(['a {"n":1}', 'b {"n":2}']);
  });

  it.each([true, false])('are asked about one by one when it is not taken (first confirmed: %s)', async (confirmed) => {
    const { played, log } = scene(two);
    await played.play();
    const lines = await played.play([played.confirm({ id: 'a', confirmed })]);
    const first = confirmed ? 'success' : 'denied';
    expect(outcomes(lines)).toEqual([`TOOL_RESULT_END a ${first}`, 'REQUIRE_USER_CONFIRM']);
    expect(played.named('REQUIRE_USER_CONFIRM').map((call) => call.id)).toEqual(['b']);
    await played.play([played.confirm({ id: 'b', confirmed: true })]);
    expect(log.at(-1)).toBe('b {"n":2}');
    expect(played.msg.finished_reason).toBe('completed');
  });

  it('run beside an asked one when they disturb nobody; the others wait for the answer', async () => {
    const calls = [...toolCall('x', 'readAlone'), ...one, ...toolCall('r', 'read'), ...toolCall('y', 'readAlone')];
    const { played, log } = scene(calls);
    expect(outcomes(await played.play())).toEqual([
      'TOOL_RESULT_END x success',
      'TOOL_RESULT_END r success',
      'REQUIRE_USER_CONFIRM',
    ]);
    expect(played.call('y').state).toBe('pending');
    const lines = await played.play([played.confirm({ id: 'a', confirmed: false })]);
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a denied', 'TOOL_RESULT_END y success', 'REPLY_END completed']);
    expect(log).toEqual(['x {}', 'r {}', 'y {}']);
  });

  it('wait for one that was asked before them even when nothing new is asked', async () => {
    const calls = [...one, ...toolCall('b', 'other'), ...toolCall('y', 'readAlone')];
    const { played, log } = scene(calls);
    await played.play();
    expect(outcomes(await played.play([played.confirm({ id: 'b', confirmed: true })]))).toEqual([
      'TOOL_RESULT_END b success',
    ]);
    expect(log).toEqual(['b {}']);
    await played.play([played.confirm({ id: 'a', confirmed: true })]);
    expect(log).toEqual(['b {}', 'a {"n":1}', 'y {}']);
  });
});

describe('an external call', () => {
  it('is handed out only after it was confirmed', async () => {
    const { played } = scene(toolCall('a', 'hand'));
    expect((await played.play()).at(-1)).toBe('REQUIRE_USER_CONFIRM');
    expect((await played.play([played.confirm({ id: 'a', confirmed: true, input: '{"x":1}' })])).at(-1)).toBe(
      'REQUIRE_EXTERNAL_EXECUTION',
    );
    expect(played.named('REQUIRE_EXTERNAL_EXECUTION')).toMatchObject([{ id: 'a', input: '{"x":1}' }]);
    expect(played.call('a').state).toBe('submitted');
    expect((await played.play([played.external('a')])).at(-1)).toBe('REPLY_END completed');
  });

  it('whose input was written loosely is handed out as it was judged, and is on record so', async () => {
    const { played } = scene(toolCall('a', 'hand', "{x: 'y',}"), permissionContext('bypass'));
    await played.play();
    expect(played.named('REQUIRE_EXTERNAL_EXECUTION')).toMatchObject([{ id: 'a', input: '{"x":"y"}' }]);
    expect(played.call('a').input).toBe('{"x":"y"}');
    await played.play([played.external('a')]);
    expect(played.msg.finished_reason).toBe('completed');
  });

  it('is not handed out when it is declined', async () => {
    const { played } = scene(toolCall('a', 'hand'));
    await played.play();
    const lines = await played.play([played.confirm({ id: 'a', confirmed: false })]);
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a denied', 'REPLY_END completed']);
  });

  it('and a question are put in one stretch, and answered in any order', async () => {
    const permissions = withRules(asking, [rule('allow', 'hand')]);
    for (const order of ['question', 'result', 'both'] as const) {
      const { played } = scene([...one, ...toolCall('h', 'hand')], permissions);
      expect(outcomes(await played.play())).toEqual(['REQUIRE_USER_CONFIRM', 'REQUIRE_EXTERNAL_EXECUTION']);
      const answers = [played.confirm({ id: 'a', confirmed: true }), played.external('h')];
      if (order === 'both') await played.play(answers);
      else for (const answer of order === 'question' ? answers : answers.reverse()) await played.play([answer]);
      expect(played.msg.finished_reason).toBe('completed');
    }
  });
});

describe('a reply that is put back to its last step', () => {
  it('asks again, with the same approval', async () => {
    const { played, log } = scene([...one, ...toolCall('b', 'other')]);
    await played.play();
    const before = ['a', 'b'].map((id) => played.approvalId(id));
    played.rewind();
    expect(played.call('a').state).toBe('pending');
    expect((await played.play()).at(-1)).toBe('REQUIRE_USER_CONFIRM');
    expect(['a', 'b'].map((id) => played.approvalId(id))).toEqual(before);
    await played.play([played.confirm({ id: 'a', confirmed: true }, { id: 'b', confirmed: false })]);
    expect(log).toEqual(['a {"n":1}']);
    expect(played.msg.finished_reason).toBe('completed');
  });

  it('forgets a refusal that was not acted on, but not whose approval it was', async () => {
    const { played } = scene(one);
    await played.play();
    const approval = played.approvalId('a');
    const handover = new AbortController();
    handover.abort();
    const { reply } = played.request;
    await expect(
      played.play([played.confirm({ id: 'a', confirmed: false, comment: 'No.' })], { handover: handover.signal }),
    ).rejects.toThrow('in the middle of a reply');
    expect(reply.block('a')).toMatchObject({ state: 'finished' });
    played.rewind();
    await played.play();
    expect(played.call('a')).toMatchObject({ state: 'asking', metadata: { approval: { id: approval } } });
    expect(played.call('a').metadata?.['approval']).not.toHaveProperty('comment');
  });
});
