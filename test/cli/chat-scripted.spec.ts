import { afterEach, describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import {
  call,
  confirm,
  events,
  replyEnd,
  replyStart,
  resultEnd,
  resultStart,
  textDelta,
  textEnd,
  textStart,
} from '../../src/core/testing/event-builders.js';
import { ChatProcess } from './chat-process.js';
import { type OnChat, ScriptedService } from './scripted-service.js';

const ofRun = (run_id: string, ...bodies: Parameters<typeof events>): AgentEvent[] =>
  events(...bodies).map((event) => ({ ...event, run_id }));
const says = (text: string) => [textStart(text), textDelta(text, text), textEnd(text)];

describe('npm run chat against a scripted service', () => {
  let service: ScriptedService | undefined;
  let chat: ChatProcess | undefined;
  afterEach(async () => {
    chat?.kill();
    await service?.stop();
  });

  const begin = async (onChat: OnChat, args: string[]) => {
    service = await ScriptedService.start(onChat);
    chat = ChatProcess.start(service.url, args);
    return { service, chat };
  };

  describe('asked whether calls may be made', () => {
    const first = call('c', { name: 'rm', input: '{"path":"/"}', state: 'asking' });
    const second = call('d', { name: 'ls', input: '{}', state: 'asking' });

    /** Parks on two calls; goes on in another run when it has the answer. */
    const asking: OnChat = (input, it) => {
      if (input['type'] === 'USER_CONFIRM_RESULT') {
        it.emit(...ofRun('run-2', resultStart('c'), resultEnd('denied', 'c'), ...says('Done.'), replyEnd()));
        return 'run-2';
      }
      it.emit(...ofRun('run-1', replyStart(), ...says('May I?'), confirm(first, second)));
      return 'run-1';
    };

    it('sends what the user says to each call and shows how it goes on', async () => {
      const it = await begin(asking, ['Clean up']);
      await it.chat.says('Allow rm {"path":"/"}? [y/N]');
      it.chat.type('');
      await it.chat.says('Allow ls {}? [y/N]');
      it.chat.type('y');
      expect(await it.chat.exited).toBe(0);
      expect(it.service.inputs).toEqual([
        { content: 'Clean up' },
        {
          type: 'USER_CONFIRM_RESULT',
          reply_id: 'r',
          confirm_results: [
            { confirmed: false, tool_call: first, rules: null },
            { confirmed: true, tool_call: second, rules: null },
          ],
        },
      ]);
      expect(it.chat.text).toMatch(/^May I\?\n[^]*← tool \(denied\): \nDone\.\n$/);
    });

    it('takes the end of the input for a no', async () => {
      const it = await begin(asking, ['Clean up']);
      it.chat.endInput();
      expect(await it.chat.exited).toBe(0);
      expect(it.service.inputs[1]).toMatchObject({ confirm_results: [{ confirmed: false }, { confirmed: false }] });
    });
  });

  it('goes on where a stream broke off, without loss or repetition', async () => {
    const it = await begin(
      (_input, service) => {
        service.emit(...ofRun('run', replyStart(), ...says('One ')));
        return 'run';
      },
      ['Count'],
    );
    await it.chat.says('One');
    it.service.cut();
    it.service.emit(...ofRun('run', ...says('Two'), replyEnd()));
    expect(await it.chat.exited).toBe(0);
    expect(it.chat.text).toBe('One \nTwo\n');
    expect(it.service.streams).toEqual([
      { query: '?after=latest', last: undefined },
      { query: '', last: '4' },
    ]);
  });

  it('begins with the current reply when the stream broke off before the first event', async () => {
    const it = await begin(
      (_input, service) => {
        service.cut();
        service.emit(...ofRun('other', replyStart(), ...says('Not mine'), replyEnd()));
        service.emit(...ofRun('run', replyStart(), ...says('Mine'), replyEnd()));
        return 'run';
      },
      ['Hello'],
    );
    expect(await it.chat.exited).toBe(0);
    expect(it.chat.text).toBe('Mine\n');
  });

  it('ends when the session is deleted', async () => {
    const it = await begin(
      (_input, service) => {
        service.emit(...events({ type: 'CUSTOM', name: 'session_deleted', value: {} }));
        return 'run';
      },
      ['Hello'],
    );
    expect(await it.chat.exited).toBe(1);
  });
});
