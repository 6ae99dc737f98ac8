import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ToolError } from '../agent/tool.js';
import { MAX_TASKS, TasksContext } from './session-state.js';
import {
  createTask,
  MAX_DEPENDENCIES,
  MAX_PLAN_CHARS,
  openBlockers,
  type TaskChange,
  taskOf,
  updateTask,
} from './task-plan.js';

const NOW = new Date('2026-11-20T10:00:00.000Z');
const EMPTY: TasksContext = { tasks: [] };

const planOf = (count: number): TasksContext => {
  let plan = EMPTY;
  for (let i = 1; i <= count; i += 1) plan = createTask(plan, { subject: `task ${i}`, description: '' }, NOW);
  return plan;
};

const after = (plan: TasksContext, ...changes: (TaskChange & { id: string })[]): TasksContext =>
  changes.reduce((it, { id, ...change }) => updateTask(it, id, change), plan);

describe('a new task', () => {
  it('is pending and has the next id', () => {
    const plan = createTask(EMPTY, { subject: 'a', description: 'b', metadata: { c: 1, gone: null } }, NOW);
    expect(plan.tasks).toEqual([
      {
        id: '1',
        subject: 'a',
        description: 'b',
        metadata: { c: 1 },
        created_at: NOW.toISOString(),
        state: 'pending',
        owner: null,
        blocks: [],
        blocked_by: [],
      },
    ]);
  });

  it('has an id above all that are there', () => {
    const plan = after(planOf(3), { id: '2', status: 'deleted' });
    expect(createTask(plan, { subject: 'x', description: '' }, NOW).tasks.map((task) => task.id)).toEqual([
      '1',
      '3',
      '4',
    ]);
  });

  it('is refused when the plan is full, too large, or its annotations are', () => {
    expect(() => createTask(planOf(MAX_TASKS), { subject: 'x', description: '' }, NOW)).toThrow(ToolError);
    const long = { subject: 'x', description: 'd'.repeat(20_000) };
    let plan = EMPTY;
    for (let i = 0; i < 9; i += 1) plan = createTask(plan, long, NOW);
    expect(() => createTask(plan, long, NOW)).toThrow(`longer than ${MAX_PLAN_CHARS}`);
    const metadata = { key: 'é'.repeat(2100) };
    expect(() => createTask(EMPTY, { subject: 'x', description: '', metadata }, NOW)).toThrow('4096 bytes');
    expect(() => createTask(EMPTY, { subject: 's'.repeat(1001), description: '' }, NOW)).toThrow('too long');
  });
});

describe('a change', () => {
  it('of text, owner and annotations leaves the rest', () => {
    const plan = after(
      planOf(2),
      { id: '1', subject: 'new', owner: 'me', metadata: { a: 1, b: 2 } },
      { id: '1', description: 'more', metadata: { a: null, c: 3 } },
    );
    expect(taskOf(plan, '1')).toMatchObject({
      subject: 'new',
      description: 'more',
      owner: 'me',
      metadata: { b: 2, c: 3 },
      state: 'pending',
    });
    expect(taskOf(after(plan, { id: '1', owner: null }), '1').owner).toBeNull();
  });

  it('of dependencies is seen from both sides', () => {
    const plan = after(planOf(3), { id: '2', add_blocks: ['3'], add_blocked_by: ['1'] });
    expect(plan.tasks.map(({ blocks, blocked_by }) => ({ blocks, blocked_by }))).toEqual([
      { blocks: ['2'], blocked_by: [] },
      { blocks: ['3'], blocked_by: ['1'] },
      { blocks: [], blocked_by: ['2'] },
    ]);
    expect(after(plan, { id: '2', add_blocks: ['3'] })).toEqual(plan);
  });

  it.each<[string, TaskChange & { id: string }, string]>([
    ['of an unknown task', { id: '9', subject: 'x' }, 'no task "9"'],
    ['with an unknown dependency', { id: '1', add_blocks: ['9'] }, 'no task "9"'],
    ['that makes a task wait for itself', { id: '1', add_blocked_by: ['1'] }, 'cannot wait for itself'],
    ['that names one twice', { id: '1', add_blocks: ['3', '3'] }, 'names a task twice'],
    ['that closes a circle', { id: '1', add_blocked_by: ['2'] }, 'in a circle'],
    ['that closes a circle by itself', { id: '3', add_blocks: ['4'], add_blocked_by: ['4'] }, 'in a circle'],
    ['that begins a blocked task', { id: '2', status: 'in_progress' }, 'waits for "1"'],
    ['that completes a blocked task', { id: '2', status: 'completed' }, 'waits for "1"'],
    ['that blocks and begins', { id: '3', status: 'in_progress', add_blocked_by: ['1'] }, 'waits for "1"'],
  ])('%s is refused', (_name, { id, ...change }, message) => {
    const plan = after(planOf(4), { id: '1', add_blocks: ['2'] });
    const before = structuredClone(plan);
    expect(() => updateTask(plan, id, change)).toThrow(ToolError);
    expect(() => updateTask(plan, id, change)).toThrow(message);
    expect(plan).toEqual(before);
  });

  it('unblocks what waited, when it completes or deletes the last blocker', () => {
    const plan = after(planOf(3), { id: '3', add_blocked_by: ['1', '2'] }, { id: '1', status: 'completed' });
    expect(openBlockers(plan, taskOf(plan, '3'))).toEqual(['2']);
    const done = after(plan, { id: '2', status: 'deleted' }, { id: '3', status: 'in_progress' });
    expect(done.tasks.map(({ id, state, blocked_by }) => [id, state, blocked_by])).toEqual([
      ['1', 'completed', []],
      ['3', 'in_progress', ['1']],
    ]);
  });

  it('adds no more dependencies than a task may have, on either side', () => {
    const others = Array.from({ length: MAX_DEPENDENCIES }, (_, at) => String(at + 2));
    const full = after(planOf(MAX_DEPENDENCIES + 2), { id: '1', add_blocks: others });
    const more = String(MAX_DEPENDENCIES + 2);
    expect(() => updateTask(full, more, { add_blocked_by: ['1'] })).toThrow('more than 50');
  });

  it('may shorten a plan that is too large', () => {
    const tasks = planOf(12).tasks.map((task) => ({ ...task, description: 'd'.repeat(20_000) }));
    const plan = after({ tasks }, { id: '1', description: '' });
    expect(taskOf(plan, '1').description).toBe('');
    expect(() => updateTask(plan, '1', { description: 'longer' })).toThrow('longer than');
  });
});

const id = fc.integer({ min: 1, max: 9 }).map(String);
const ids = fc.array(id, { maxLength: 4 });
const operation = fc.oneof(
  fc.record({ kind: fc.constant('create' as const) }),
  fc.record({
    kind: fc.constant('update' as const),
    id,
    change: fc.record(
      {
        status: fc.oneof(
          { weight: 4, arbitrary: fc.constantFrom('pending' as const, 'in_progress' as const, 'completed' as const) },
          { weight: 1, arbitrary: fc.constant('deleted' as const) },
        ),
        add_blocks: ids,
        add_blocked_by: ids,
        owner: fc.option(fc.string({ minLength: 1, maxLength: 5 })),
        metadata: fc.dictionary(fc.string({ maxLength: 3 }), fc.option(fc.string()), { maxKeys: 3 }),
      },
      { requiredKeys: [] },
    ),
  }),
);

/** Whether some task waits for itself, found by walking from every task. */
function hasCircle(plan: TasksContext): boolean {
  const reaches = (from: string, to: string, seen: Set<string>): boolean =>
    taskOf(plan, from).blocked_by.some((next) => {
      if (next === to) return true;
      if (seen.has(next)) return false;
      seen.add(next);
      return reaches(next, to, seen);
    });
  return plan.tasks.some((task) => reaches(task.id, task.id, new Set()));
}

describe('whatever is done to a plan', () => {
  it('it stays consistent, and what is refused changes nothing', () => {
    let refused = 0;
    let linked = 0;
    fc.assert(
      fc.property(fc.array(operation, { maxLength: 60 }), (operations) => {
        let plan = planOf(5);
        for (const it of operations) {
          const before = structuredClone(plan);
          try {
            const made: TasksContext =
              it.kind === 'create'
                ? createTask(plan, { subject: 's', description: '' }, NOW)
                : updateTask(plan, it.id, it.change);
            expect(plan).toEqual(before);
            checkStates(plan, made);
            plan = made;
          } catch (error) {
            if (!(error instanceof ToolError)) throw error;
            refused += 1;
            expect(plan).toEqual(before);
          }
        }
        expect(TasksContext.safeParse(plan).success).toBe(true);
        const all = plan.tasks.map((task) => task.id);
        expect(new Set(all).size).toBe(all.length);
        expect(hasCircle(plan)).toBe(false);
        for (const task of plan.tasks) {
          linked += task.blocks.length;
          expect(new Set(task.blocks).size).toBe(task.blocks.length);
          for (const other of task.blocks) expect(taskOf(plan, other).blocked_by).toContain(task.id);
          for (const other of task.blocked_by) expect(taskOf(plan, other).blocks).toContain(task.id);
        }
      }),
      { numRuns: 300 },
    );
    expect(refused).toBeGreaterThan(0);
    expect(linked).toBeGreaterThan(0);
  });
});

/** A task that begins or is completed had nothing left to wait for. */
function checkStates(before: TasksContext, made: TasksContext): void {
  for (const task of made.tasks) {
    const was = before.tasks.find((it) => it.id === task.id)?.state ?? 'pending';
    if (task.state !== was && task.state !== 'pending') {
      expect(task.blocked_by.map((other) => taskOf(made, other).state)).toEqual(task.blocked_by.map(() => 'completed'));
    }
  }
}
