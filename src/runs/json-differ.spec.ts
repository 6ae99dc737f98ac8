import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { applyPatch, type Operation } from 'rfc6902';
import { CUSTOM_EVENTS } from '../core/events/agent-event.js';
import { permissionContext, withRules } from '../core/permissions/permission-context.js';
import type { TasksContext } from '../core/state/session-state.js';
import { stateUpdate, type VisibleState } from '../core/state/state-update.js';
import { createTask, updateTask } from '../core/state/task-plan.js';
import { jsonDiff } from './json-differ.js';

const NOW = new Date('2026-11-20T10:00:00.000Z');

/** `structuredClone` makes objects of another realm here, which the package does not know. */
const copy = <T>(json: T): T => JSON.parse(JSON.stringify(json)) as T;

function patched(before: unknown, patch: readonly object[]): unknown {
  const holder = { value: copy(before) };
  const below = copy(patch as Operation[]).map((it) => ({ ...it, path: `/value${it.path}` }));
  for (const failure of applyPatch(holder, below)) if (failure !== null) throw failure;
  return holder.value;
}

const planOf = (count: number): TasksContext => {
  let plan: TasksContext = { tasks: [] };
  for (let i = 0; i < count; i += 1) plan = createTask(plan, { subject: `s${i}`, description: '' }, NOW);
  return plan;
};

/** The package does not apply what names these, whatever the patch. */
const UNAPPLIED = /"(__proto__|constructor|prototype)"/;
const json = fc.jsonValue({ maxDepth: 3 }).filter((it) => !UNAPPLIED.test(JSON.stringify(it)));
const withIds = fc.uniqueArray(fc.record({ id: fc.constantFrom(...'abcdef'), more: json }), {
  selector: (it) => it.id,
});
const anything = fc.oneof(json, withIds, fc.dictionary(fc.constantFrom('a', 'b/c', 'd~e', ''), withIds));

describe('a patch', () => {
  it('makes the one value of the other, and is empty for the same', () => {
    fc.assert(
      fc.property(anything, anything, (before, after) => {
        // As it is stored and sent: minus zero is zero there.
        const [old, now] = [before, after].map(copy);
        expect(patched(old, jsonDiff(old, now))).toEqual(now);
        expect(jsonDiff(old, copy(old))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  it('says of a list with ids only what happened in it', () => {
    const plan = updateTask(planOf(5), '2', { add_blocks: ['4'] });
    expect(jsonDiff(plan, updateTask(plan, '3', { status: 'in_progress' }))).toEqual([
      { op: 'replace', path: '/tasks/2/state', value: 'in_progress' },
    ]);
    expect(jsonDiff(plan, updateTask(plan, '2', { status: 'deleted' }))).toEqual([
      { op: 'remove', path: '/tasks/1' },
      { op: 'remove', path: '/tasks/2/blocked_by/0' },
    ]);
  });

  it('of large lists is found at once', () => {
    const plan = planOf(500);
    const other = { tasks: plan.tasks.map((task) => ({ ...task, id: `x${task.id}`, subject: 'other' })) };
    const numbers = Array.from({ length: 2000 }, (_, at) => at);
    const before = process.cpuUsage();
    expect(patched(plan, jsonDiff(plan, other))).toEqual(other);
    expect(jsonDiff(numbers, numbers.toReversed())).toHaveLength(2000);
    expect(jsonDiff(plan, { tasks: plan.tasks.toReversed() }).length).toBeLessThan(2000);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(3);
  });
});

describe('a state_updated event', () => {
  const state = (tasks: TasksContext, mode: 'default' | 'explore' = 'default'): VisibleState => ({
    tasks_context: tasks,
    permission_context: permissionContext(mode, '/ws'),
  });

  it('is not made when nothing changed', () => {
    const it = state(planOf(2));
    expect(stateUpdate(it, it, jsonDiff)).toBeNull();
    expect(stateUpdate(it, copy(it), jsonDiff)).toBeNull();
  });

  it('has what changed and how', () => {
    const before = state(planOf(1));
    const tasks_context = updateTask(before.tasks_context, '1', { status: 'in_progress' });
    expect(stateUpdate(before, { ...before, tasks_context }, jsonDiff)).toEqual({
      tasks_context,
      patch: [{ op: 'replace', path: '/tasks_context/tasks/0/state', value: 'in_progress' }],
    });
    const permission_context = permissionContext('explore', '/ws');
    expect(stateUpdate(before, { ...before, permission_context }, jsonDiff)).toEqual({
      permission_context,
      patch: [{ op: 'replace', path: '/permission_context/mode', value: 'explore' }],
    });
  });

  it('takes a client from any state to the next, in the shape that is told', () => {
    const rule = fc.record({
      tool_name: fc.constantFrom('Bash', 'Read', 'a/b~c'),
      rule_content: fc.option(fc.string()),
      behavior: fc.constantFrom('allow' as const, 'deny' as const, 'ask' as const),
      source: fc.constant('test'),
    });
    const plans = fc.array(fc.tuple(fc.integer({ min: 1, max: 8 }), fc.boolean()), { maxLength: 6 }).map((changes) =>
      changes.reduce((plan, [at, deleted]) => {
        const id = String(at);
        if (!plan.tasks.some((task) => task.id === id)) return plan;
        return updateTask(plan, id, deleted ? { status: 'deleted' } : { owner: 'x', metadata: { [id]: at } });
      }, planOf(6)),
    );
    const states = fc
      .record({ plan: plans, mode: fc.constantFrom('default' as const, 'explore' as const), rules: fc.array(rule) })
      .map(({ plan, mode, rules }) => {
        const it = state(plan, mode);
        return { ...it, permission_context: withRules(it.permission_context, rules) };
      });
    fc.assert(
      fc.property(states, states, (before, after) => {
        const value = stateUpdate(before, after, jsonDiff);
        if (value === null) return expect(after).toEqual(before);
        expect(CUSTOM_EVENTS.state_updated.parse(value)).toEqual(value);

        const { patch, ...parts } = value;
        expect(patched(before, patch as object[])).toEqual(after);
        expect({ ...before, ...parts }).toEqual(after);
      }),
    );
  });
});
