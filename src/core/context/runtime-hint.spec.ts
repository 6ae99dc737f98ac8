import { describe, expect, it } from '@jest/globals';
import type { Msg } from '../messages/message.js';
import type { Task } from '../state/session-state.js';
import { atWork, hintBlock, pair, reply } from '../testing/conversations.js';
import { call, toolResult, userMessage } from '../testing/event-builders.js';
import { lastSeen, RUNTIME_STATE, runtimeHint } from './runtime-hint.js';

const NOW = new Date('2026-03-01T12:00:00.000Z');
const minutesAgo = (minutes: number) => new Date(NOW.getTime() - minutes * 60_000).toISOString();
const TOOLS = new Set(['task_update']);

const task = (id: string, rest: Partial<Task> = {}): Task => ({
  id,
  subject: `Do ${id}`,
  description: '',
  metadata: {},
  created_at: minutesAgo(0),
  state: 'pending',
  owner: null,
  blocks: [],
  blocked_by: [],
  ...rest,
});

const told = (text: string, minutes: number): Msg =>
  reply('r', [{ ...hintBlock('h', text, JSON.stringify(RUNTIME_STATE)), created_at: minutesAgo(minutes) }]);
const since = (minutes: number) => userMessage('u', 'Hi', minutesAgo(minutes));
const hint = (view: readonly Msg[], tasks: Task[] = [], used = 0) =>
  runtimeHint(NOW, 'Europe/Berlin', tasks, { used, limit: 1000 }, lastSeen(view, TOOLS));

describe('runtimeHint', () => {
  it('says nothing in a plain short conversation', () => {
    expect(hint([])).toBeNull();
    expect(hint([since(1)])).toBeNull();
    expect(hint([since(29), reply('r', pair('c', 'x'))])).toBeNull();
  });

  it('tells the time when what the model knows of it is more than half an hour old', () => {
    expect(hint([since(31)])).toBe(
      '<system-reminder>\n<current-time>2026-03-01T13:00:00</current-time>\n<timezone>Europe/Berlin</timezone>\n</system-reminder>',
    );
    expect(hint([since(500), told('', 29)])).toBeNull();
    expect(hint([since(500), told('', 31)])).not.toBeNull();
  });

  it('does not take a summary for the beginning', () => {
    expect(hint([userMessage('context-summary-1'), since(5)])).toBeNull();
  });

  it('tells tasks that the model has not seen, and those that changed since', () => {
    const first = hint([since(1)], [task('a', { owner: 'bob' }), task('b', { state: 'completed' })]) ?? '';
    expect(first).toContain('<tasks>\na [pending] Do a (bob)\nb [completed] Do b\n</tasks>');
    const view = [since(1), told(first, 1)];
    expect(hint(view, [task('a', { owner: 'bob' }), task('b', { state: 'completed' })])).toBeNull();
    expect(hint(view, [task('b', { state: 'completed' })])).toContain('<tasks>\nb [completed]');
    expect(hint(view, [])).toContain('<tasks>\nnone\n</tasks>');
  });

  it('trusts the tools that show tasks, until a later hint', () => {
    const shown = reply('r1', [call('c', { name: 'task_update' }), toolResult('c', { name: 'task_update' })]);
    expect(hint([since(1), shown], [task('a')])).toBeNull();
    expect(hint([since(1), shown, told('<tasks>\nold\n</tasks>', 1)], [task('a')])).not.toBeNull();
    expect(hint([since(1), told('<tasks>\nold\n</tasks>', 1), shown], [task('a')])).toBeNull();
  });

  it('warns once when the window is nearly full', () => {
    expect(hint([since(1)], [], 799)).toBeNull();
    const warning = hint([since(1)], [], 800) ?? '';
    expect(warning).toContain('<context-length>800 of 1000 tokens are used');
    expect(hint([since(1), told(warning, 1)], [], 900)).toBeNull();
    expect(runtimeHint(NOW, 'UTC', [], null, lastSeen([since(1)], TOOLS))).toBeNull();
  });

  it('hears only hints of its own kind', () => {
    const other = reply('r', [
      { ...hintBlock('h', '<context-length>', '{"label":"Team"}'), created_at: minutesAgo(1) },
    ]);
    expect(lastSeen([since(40), other], TOOLS)).toEqual({ at: new Date(minutesAgo(40)), tasks: '', warned: false });
  });

  it('stays short and in its elements, whatever tasks are called', () => {
    const tasks = Array.from({ length: 120 }, (_, n) => task(`t${n}`, { subject: `</tasks>\n${'x'.repeat(900)}` }));
    const text = hint([since(1)], tasks) ?? '';
    expect(text.length).toBeLessThan(15_000);
    expect(text.match(/<\/tasks>/g)).toHaveLength(1);
    expect(text).toContain('and 70 more');
    expect(hint([since(1), told(text, 1)], tasks)).toBeNull();
  });

  it('finds what it said in the reply at work as well', () => {
    const own = atWork('r', told('', 1).content);
    expect(lastSeen([since(100), own], TOOLS).at).toEqual(new Date(minutesAgo(1)));
  });
});
