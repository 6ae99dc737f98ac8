import type { AgentEvent } from '../events/agent-event.js';
import type { EventBody } from './event-body.js';
import type { ReplyContext } from './reply-context.js';
import type { CallRun } from './tool-run.js';
import type { ToolChunk } from './tool.js';

/** What came of pulling one run: a chunk, its end, or what it threw. */
type Arrival = { run: CallRun } & ({ step: IteratorResult<ToolChunk> } | { error: unknown });

/** Runs calls in order; neighbours that are concurrency-safe run together. Every call gets a result. */
export async function* executeCalls(
  ctx: ReplyContext,
  runs: readonly CallRun[],
): AsyncGenerator<AgentEvent, void, void> {
  let batch: CallRun[] = [];
  for (const run of runs) {
    if (run.concurrent) {
      batch.push(run);
      continue;
    }
    if (batch.length > 0) yield* executeBatch(ctx, batch);
    batch = [];
    yield* executeBatch(ctx, [run]);
  }
  if (batch.length > 0) yield* executeBatch(ctx, batch);
}

/** Pull-based: a run is asked for its next chunk only when the last one was taken by the consumer. */
async function* executeBatch(ctx: ReplyContext, runs: readonly CallRun[]): AsyncGenerator<AgentEvent, void, void> {
  const pulls = new Pulls();
  const active = new Set(runs);
  try {
    ctx.throwIfLeaving();
    for (const run of runs) {
      ctx.throwIfAborted();
      const start = run.start();
      if (start !== null) yield ctx.emit(start);
      const { refusal } = run;
      if (refusal !== null) yield* emitAll(ctx, refusal, run, active);
    }
    if (active.size === 0) return;
    const starting = [...active];
    await ctx.request.onToolsStarting?.(starting.map((run) => run.call));
    ctx.throwIfAborted();
    for (const run of starting) {
      const failure = run.open((error) => pulls.arrive({ run, error }));
      if (failure === null) pulls.pull(run);
      else yield* emitAll(ctx, failure, run, active);
    }
    const next = () => pulls.next();
    while (active.size > 0) {
      const arrival = await ctx.race(next);
      const { run } = arrival;
      // What it still said after its time was up.
      if (!active.has(run)) continue;
      if (!('error' in arrival) && arrival.step.done !== true) {
        for (const body of run.chunk(arrival.step.value)) yield ctx.emit(body);
        pulls.pull(run);
        continue;
      }
      for (const body of await ctx.race(() => run.settle())) yield ctx.emit(body);
      yield* emitAll(ctx, 'error' in arrival ? run.failed(arrival.error) : run.succeeded(), run, active);
    }
  } finally {
    for (const run of active) run.leave();
  }
}

function* emitAll(ctx: ReplyContext, bodies: EventBody[], run: CallRun, active: Set<CallRun>): Generator<AgentEvent> {
  active.delete(run);
  run.close();
  for (const body of bodies) yield ctx.emit(body);
}

/** Collects the answers of several iterators in the order in which they come. */
class Pulls {
  private readonly ready: Arrival[] = [];
  private waiter: ((arrival: Arrival) => void) | null = null;

  pull(run: CallRun): void {
    const { iterator } = run;
    if (iterator === null) return;
    try {
      iterator.next().then(
        (step) => this.arrive({ run, step }),
        (error: unknown) => this.arrive({ run, error }),
      );
    } catch (error) {
      this.arrive({ run, error });
    }
  }

  next(): Promise<Arrival> {
    const first = this.ready.shift();
    if (first !== undefined) return Promise.resolve(first);
    return new Promise((resolve) => {
      this.waiter = resolve;
    });
  }

  arrive(arrival: Arrival): void {
    const { waiter } = this;
    this.waiter = null;
    if (waiter !== null) waiter(arrival);
    else this.ready.push(arrival);
  }
}
