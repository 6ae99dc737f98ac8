import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Msg } from '../../src/core/messages/message.js';
import { type ApiClient, EventStream, UNASKED } from '../support/client.js';
import { refusal } from '../support/crud.js';
import { type Rig, startRig } from '../support/rig.js';
import { AGENT_HOST } from '../support/service.js';

interface ToolRow {
  readonly name: string;
  readonly group: string;
  readonly is_enabled: boolean;
  readonly is_active: boolean;
  readonly is_external: boolean;
  readonly is_read_only: boolean;
  readonly input_schema: Record<string, unknown>;
}

let rig: Rig;
let client: ApiClient;
let session_id: string;
let stream: EventStream;

beforeAll(async () => {
  rig = await startRig({}, AGENT_HOST);
}, 60_000);
afterAll(() => rig.stop());

async function open(session: Record<string, unknown> = UNASKED): Promise<void> {
  client = rig.client('alice');
  ({ session_id } = await client.demoSession(undefined, session));
  stream = await client.stream(session_id);
}

beforeEach(async () => {
  await open();
});
afterEach(() => stream.close());

const SCHEMA = {
  type: 'object',
  properties: { city: { type: 'string' }, people: { type: 'integer' } },
  required: ['city', 'people'],
  additionalProperties: false,
};

/** Says it and gives the reply. */
async function reply(content: string, more: Record<string, unknown> = {}): Promise<Msg> {
  const body = { session_id, input: { content }, ...more };
  const { message } = await client.ok<{ message: Msg }>('POST', '/chat?wait=true', body);
  return message;
}

const resultsOf = (message: Msg): string[] =>
  message.content.flatMap((block) =>
    block.type === 'tool_result'
      ? [`${block.name} ${block.state} ${block.output.map((it) => (it.type === 'text' ? it.text : it.type)).join('|')}`]
      : [],
  );

const toolsOf = async (): Promise<ToolRow[]> =>
  (await client.ok<{ tools: ToolRow[] }>('GET', `/sessions/${session_id}/tools`)).tools;

const customs = (name: string) =>
  stream.seen.flatMap(({ event }) => (event.type === 'CUSTOM' && event.name === name ? [event.value] : []));

describe('middleware of a host application', () => {
  it('lies around replies, permissions and tools, and brings tools of its own', async () => {
    const message = await reply(
      '/tool whoami {}\n/tool read_notes {}\n/tool write_note {"text":"secret"}\n/then\n/say done',
    );
    expect(resultsOf(message)).toEqual([
      'whoami success alice',
      'read_notes success notes: []',
      expect.stringMatching(/^write_note denied .*No secrets\./),
    ]);
    await stream.replies();
    expect(customs('reply_seen')).toEqual([{ by: 'outer', user: 'alice' }]);
  });

  it('changes what the model is told about its task', async () => {
    const before = await reply('one two');
    const { message } = await rig
      .client('somebody else')
      .demoSession(undefined, UNASKED)
      .then((made) =>
        rig.client('somebody else').ok<{ message: Msg }>('POST', '/chat?wait=true', {
          session_id: made.session_id,
          input: { content: 'one two' },
        }),
      );
    // The demo model counts the words of its instructions: the other user's name has one more.
    expect((message.usage?.input_tokens ?? 0) - (before.usage?.input_tokens ?? 0)).toBe(1);
  });
});

describe('the tools of a session', () => {
  it('are listed with their schemas and flags', async () => {
    const tools = new Map((await toolsOf()).map((tool) => [tool.name, tool]));
    expect([...tools.keys()]).toEqual(
      expect.arrayContaining(['calculator', 'TaskCreate', 'reset_tools', 'write_note', 'pick_colour', 'whoami']),
    );
    expect(tools.get('write_note')).toMatchObject({
      group: 'basic',
      is_enabled: true,
      is_active: true,
      is_read_only: false,
      input_schema: { required: ['text'] },
    });
    expect(tools.get('pick_colour')).toMatchObject({ is_external: true });
    expect(tools.get('publish')).toMatchObject({ group: 'publishing', is_enabled: true, is_active: false });
    expect(refusal(await rig.client('mallory').request('GET', `/sessions/${session_id}/tools`))).toEqual([
      404,
      'session_not_found',
    ]);
  });

  it('come and go with the groups that the agent switches on', async () => {
    const off = await reply('/tool publish {}\n/then\n/say tried');
    expect(resultsOf(off)).toEqual([expect.stringMatching(/^publish error .*"publishing", which is off/)]);
    const on = await reply('/tool reset_tools {"publishing":true}\n/then\n/tool publish {}\n/then\n/say done');
    expect(resultsOf(on)).toEqual([
      expect.stringMatching(/^reset_tools success On now:/),
      'publish success published for alice',
    ]);
    expect((await toolsOf()).find((tool) => tool.name === 'publish')?.is_active).toBe(true);
    expect(resultsOf(await reply('/tool publish {}\n/then\n/say again'))).toEqual([
      'publish success published for alice',
    ]);
    await reply('/tool reset_tools {}\n/then\n/say off');
    expect((await toolsOf()).find((tool) => tool.name === 'publish')?.is_active).toBe(false);
  });

  it('can be taken away from one session', async () => {
    await client.ok('PATCH', `/sessions/${session_id}`, { disabled_tools: ['calculator', 'nothing'] });
    const calculator = (await toolsOf()).find((tool) => tool.name === 'calculator');
    expect(calculator).toMatchObject({ is_enabled: false });
    const message = await reply('/tool calculator {"expression":"1+1"}\n/then\n/say tried');
    expect(resultsOf(message)).toEqual(['calculator error There is no tool named "calculator".']);
    await client.ok('PATCH', `/sessions/${session_id}`, { disabled_tools: [] });
    expect(resultsOf(await reply('/tool calculator {"expression":"1+1"}\n/then\n/say done'))).toEqual([
      'calculator success 2',
    ]);
  });

  it('end when their time is up', async () => {
    const message = await reply('/tool dawdle {}\n/then\n/say went on');
    expect(resultsOf(message)).toEqual([
      expect.stringMatching(/^dawdle error begun;\nThe tool took longer than 0\.1 s/),
    ]);
    expect(message.finished_reason).toBe('completed');
  });
});

describe('the plan of an agent', () => {
  it('is kept with the session, told as it changes, and survives in its state', async () => {
    const message = await reply(
      [
        '/tool TaskCreate {"subject":"Look","description":"Look around"}',
        '/then',
        '/tool TaskCreate {"subject":"Build","description":"Build it"}',
        '/then',
        '/tool TaskUpdate {"task_id":"2","add_blocked_by":["1"]}',
        '/then',
        '/tool TaskUpdate {"task_id":"1","add_blocked_by":["2"]}',
        '/tool TaskUpdate {"task_id":"2","status":"in_progress"}',
        '/then',
        '/tool TaskUpdate {"task_id":"1","status":"completed"}',
        '/then',
        '/say planned',
      ].join('\n'),
    );
    expect(resultsOf(message).map((it) => it.split(' ').slice(0, 2).join(' '))).toEqual([
      'TaskCreate success',
      'TaskCreate success',
      'TaskUpdate success',
      'TaskUpdate error',
      'TaskUpdate error',
      'TaskUpdate success',
    ]);
    const { tasks } = await client.ok<{ tasks: Record<string, unknown>[] }>('GET', `/sessions/${session_id}/tasks`);
    expect(tasks).toMatchObject([
      { id: '1', subject: 'Look', state: 'completed', blocks: ['2'] },
      { id: '2', subject: 'Build', state: 'pending', blocked_by: ['1'] },
    ]);
    await stream.replies();
    const updates = customs('state_updated');
    expect(updates).toHaveLength(4);
    expect(updates.at(-1)).toMatchObject({
      tasks_context: { tasks: [{ state: 'completed' }, { state: 'pending' }] },
      patch: [{ op: 'replace', path: '/tasks_context/tasks/0/state', value: 'completed' }],
    });
    expect(resultsOf(await reply('/tool TaskList {}\n/then\n/say listed'))[0]).toContain('2 [pending] Build');
  });

  it('goes back to what it was when its reply is rolled back', async () => {
    await reply('/tool TaskCreate {"subject":"First","description":"d"}\n/then\n/say kept');
    const { run_id } = await client.say(
      session_id,
      '/tool TaskCreate {"subject":"Second","description":"d"}\n/then\n/say now\n/sleep 60000',
    );
    await stream.until(
      ({ event }) => event.run_id === run_id && event.type === 'TEXT_BLOCK_DELTA' && event.delta === 'now',
    );
    const subjects = async () =>
      (await client.ok<{ tasks: { subject: string }[] }>('GET', `/sessions/${session_id}/tasks`)).tasks.map(
        ({ subject }) => subject,
      );
    expect(await subjects()).toEqual(['First', 'Second']);
    await reply('instead', { on_busy: 'rollback' });
    expect(await subjects()).toEqual(['First']);
  });
});

describe('a reply that is bound to a schema', () => {
  const answer = (text: string) => `/tool generate_structured_output ${text}`;

  it('comes to it at once', async () => {
    const message = await reply(answer('{"city":"Rome","people":3}'), { structured_schema: SCHEMA });
    expect(message).toMatchObject({
      finished_reason: 'completed',
      structured_output: { city: 'Rome', people: 3 },
    });
    const { event } = await stream.replies();
    expect(event).toMatchObject({ type: 'REPLY_END', structured_output: { city: 'Rome', people: 3 } });
  });

  it('comes to it after an answer that does not fit, and after words', async () => {
    const wrong = `${answer('{"city":"Rome"}')}\n/then\n${answer("{'city': 'Rome', people: 3,}")}`;
    expect(await reply(wrong, { structured_schema: SCHEMA })).toMatchObject({
      finished_reason: 'completed',
      structured_output: { city: 'Rome', people: 3 },
    });
  });

  it('ends without it when it does not come', async () => {
    const { agent_id } = (await client.ok<{ session: { agent_id: string } }>('GET', `/sessions/${session_id}`)).session;
    await client.ok('PATCH', `/agent/${agent_id}`, {
      react_config: { max_iters: 2, structured_output_grace_iters: 1 },
    });
    const message = await reply('just words', { structured_schema: SCHEMA });
    expect(message).toMatchObject({ finished_reason: 'exceed_max_iters', structured_output: null });
    expect(message.content.some((block) => block.type === 'hint')).toBe(true);
  });

  it.each([
    ['no object', { type: 'string' }],
    ['no schema', { type: 'object', properties: { a: { type: 'nonsense' } } }],
  ])('is refused for what is %s', async (_, structured_schema) => {
    const refused = await client.request('POST', '/chat', {
      session_id,
      input: { content: 'hi' },
      structured_schema,
    });
    expect(refusal(refused)).toEqual([400, 'validation_failed']);
    expect(refused.body).toMatchObject({ error: { details: [{ path: 'structured_schema' }] } });
  });
});
