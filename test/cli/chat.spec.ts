import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { startRig, type Rig } from '../support/rig.js';
import { ChatProcess } from './chat-process.js';

describe('npm run chat', () => {
  let rig: Rig;
  const running: ChatProcess[] = [];

  beforeAll(async () => {
    rig = await startRig();
  }, 60_000);
  afterAll(() => rig.stop());
  afterEach(() => {
    for (const chat of running.splice(0)) chat.kill();
  });

  const start = (args: string[], user?: string): ChatProcess => {
    const chat = ChatProcess.start(rig.url, args, user);
    running.push(chat);
    return chat;
  };
  const count = async (client: ApiClient, path: string) => (await client.ok<{ total: number }>('GET', path)).total;

  it('makes what is missing, shows the reply and ends; the next time it uses the same session', async () => {
    const client = rig.client('first-time');
    const first = await ChatProcess.run(rig.url, ['Hello', 'there'], 'first-time');
    expect(first).toEqual({ code: 0, output: 'You said: Hello there\n', errors: '' });
    const second = await ChatProcess.run(rig.url, ['Again'], 'first-time');
    expect(second).toEqual({ code: 0, output: 'You said: Again\n', errors: '' });

    for (const path of ['/credential', '/agent', '/sessions']) expect(await count(client, path)).toBe(1);
    const { messages } = await client.messages('chat-cli');
    expect(messages.map((message) => message.role)).toEqual(['user', 'assistant', 'user', 'assistant']);
  });

  it('shows thinking, tool calls and results on lines of their own', async () => {
    const script = '/think Hm.\n/say Let me see.\n/tool calculator {"expression":"6*7"}';
    const { code, output } = await ChatProcess.run(rig.url, [script]);
    expect(code).toBe(0);
    expect(output).toBe(
      [
        'Hm.',
        'Let me see.',
        '→ calculator {"expression":"6*7"}',
        '← calculator: 42',
        'Done: calculator -> 42',
        '',
      ].join('\n'),
    );
  });

  it('says why a reply failed, and fails', async () => {
    const { code, output } = await ChatProcess.run(rig.url, ['/say Well\n/fail rate_limit']);
    expect(code).toBe(1);
    expect(output).toMatch(/^Well\nError \(rate_limit\): .+\n$/);
  });

  it('interrupts the run on Ctrl-C', async () => {
    const chat = start(['/say Wait\n/sleep 60000'], 'impatient');
    await chat.says('Wait');
    chat.interrupt();
    expect(await chat.exited).toBe(130);
    expect(chat.text).toContain('(interrupted)');
    const { messages, is_running } = await rig.client('impatient').messages('chat-cli');
    expect(is_running).toBe(false);
    expect(messages.at(-1)).toMatchObject({ role: 'assistant', finished_reason: 'interrupted' });
  });

  it('talks in the named session, with the named agent', async () => {
    const client = rig.client('chooser');
    const { agent_id } = await client.demoSession();
    const { code } = await ChatProcess.run(rig.url, ['--agent', agent_id, '--session', 'mine', 'Hello'], 'chooser');
    expect(code).toBe(0);
    expect(await count(client, `/sessions?agent_id=${agent_id}`)).toBe(2);
    expect((await client.messages('mine')).messages).toHaveLength(2);

    const other = await client.demoSession();
    const refused = await ChatProcess.run(
      rig.url,
      ['--agent', other.agent_id, '--session', 'mine', 'Hello'],
      'chooser',
    );
    expect(refused).toMatchObject({ code: 1, output: '', errors: 'The session "mine" belongs to another agent.\n' });
    const unknown = await ChatProcess.run(rig.url, ['--agent', 'nobody', 'Hello'], 'chooser');
    expect(unknown.code).toBe(1);
  });

  it('asks whether a call may run, and tells the service', async () => {
    const client = rig.client('asked');
    const { agent_id } = await client.demoSession('careful', {
      permission_rules: [{ tool_name: 'calculator', behavior: 'ask' }],
    });
    const chat = start(['--agent', agent_id, '--session', 'careful'], 'asked');
    const question = (expression: string) => `Allow calculator {"expression":"${expression}"}? [y/N]`;
    chat.type('/tool calculator {"expression":"6*7"}');
    await chat.says(question('6*7'));
    chat.type('y');
    await chat.says('Done: calculator -> 42');
    chat.type('/tool calculator {"expression":"1+1"}\n');
    await chat.says(question('1+1'));
    chat.type('n');
    await chat.says('The user declined this tool call.');
    chat.type('/exit');
    expect(await chat.exited).toBe(0);
    const { approvals } = await client.ok<{ approvals: { status: string }[] }>('GET', '/approvals');
    expect(approvals.map(({ status }) => status)).toEqual(['rejected', 'approved']);
  });

  it('takes one message after the other from its input', async () => {
    const chat = start([], 'talker');
    for (const line of ['One', '', '/new', 'Two', '/exit', 'Never']) chat.type(line);
    expect(await chat.exited).toBe(0);
    expect(chat.text).toBe('You said: One\nA fresh session.\nYou said: Two\n');
    const client = rig.client('talker');
    expect(await count(client, '/sessions')).toBe(2);
    expect(await count(client, '/agent')).toBe(1);
    expect((await client.messages('chat-cli')).messages).toHaveLength(2);
  });

  it('ends with its input, and goes on after a failure', async () => {
    const chat = start([], 'piped');
    chat.type('/fail upstream');
    chat.type('Still there?');
    chat.endInput();
    expect(await chat.exited).toBe(0);
    expect(chat.text).toMatch(/^Error \(upstream\): .+\nYou said: Still there\?\n$/);
  });

  it('stays after an interrupted reply and ends on Ctrl-C at the prompt', async () => {
    const chat = start([], 'patient');
    chat.type('/stream 100000 20');
    await chat.says('tok0');
    chat.interrupt();
    await chat.says('(interrupted)');
    chat.type('/new');
    await chat.says('A fresh session.');
    chat.interrupt();
    expect(await chat.exited).toBe(0);
  });

  it('is told where the service is, or says how to start it', async () => {
    const nowhere = 'http://127.0.0.1:9';
    const { code, errors, output } = await ChatProcess.run(nowhere, ['Hello']);
    expect({ code, output }).toEqual({ code: 1, output: '' });
    expect(errors).toBe(`Nothing answers at ${nowhere}. Start the service with \`npm start\`.\n`);
    const told = await ChatProcess.run(nowhere, ['--url', rig.url, 'Hello'], 'told');
    expect(told.output).toBe('You said: Hello\n');
    const wrong = await ChatProcess.run('ftp://example.com', ['Hello']);
    expect(wrong).toMatchObject({ code: 1, errors: 'AERIE_URL: must be a http:// or https:// URL\n' });
    const unknown = await ChatProcess.run(rig.url, ['--nonsense']);
    expect(unknown.code).toBe(1);
    expect(unknown.errors).toContain('npm run chat -- [options] [message]');
  });
});
