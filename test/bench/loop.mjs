// npm run bench -- loop: what the agent's loop costs in this process, with a model that costs nothing and no database.
import { cpus, loadavg } from 'node:os';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { median } from './meter.mjs';

// Built by the launcher before this runs; not there when the sources are checked.
const DIST = new URL('../../dist/src/', import.meta.url);
const load = (path) => import(new URL(path, DIST).href);

const ROUNDS = 5;
const REPLIES = 10_000;
const CALLS = 5_000;
const CALLS_PER_REPLY = 100;
const DELTAS = 500_000;
const DELTAS_PER_REPLY = 10_000;
const MEMORY_TURNS = [10_000, 100_000];

/** At least so many a second of processor time; `heap` in MB at most between the two looks. */
const TARGETS = { replies: 20_000, 'turns that call a tool': 10_000, deltas: 500_000, heap: 2 };

const USAGE = {
  input_tokens: 1,
  output_tokens: 1,
  cache_input_tokens: 0,
  cache_creation_input_tokens: 0,
  reasoning_tokens: 0,
};
const ANSWER = [
  { type: 'text_start', id: 't' },
  { type: 'text_delta', id: 't', delta: 'word ' },
  { type: 'text_end', id: 't' },
  { type: 'finish', usage: USAGE },
];

/** Calls a tool so many times, a call a turn, and then answers. */
class ScriptedModel {
  provider = 'scripted';
  name = 'scripted';

  constructor(calls) {
    this.left = calls;
  }

  async *stream() {
    if (this.left === 0) {
      yield* ANSWER;
      return;
    }
    this.left -= 1;
    const id = `c${this.left}`;
    yield { type: 'tool_call_start', id, name: 'look' };
    yield { type: 'tool_call_delta', id, delta: '{}' };
    yield { type: 'tool_call_end', id };
    yield { type: 'finish', usage: USAGE };
  }
}

const look = {
  name: 'look',
  description: 'Does nothing.',
  input_schema: { type: 'object' },
  is_read_only: true,
  is_concurrency_safe: true,
  is_idempotent: true,
  async *run() {
    yield { type: 'text', text: 'nothing' };
  },
};

async function makeLoop() {
  const { runReply } = await load('core/agent/reply.js');
  const { Toolkit } = await load('core/agent/toolkit.js');
  const { ReplyReducer } = await load('core/events/reply-reducer.js');
  const { permissionContext } = await load('core/permissions/permission-context.js');
  const { AgentState } = await load('core/state/session-state.js');
  const { ContextWindow } = await load('core/context/context-window.js');
  const { tokenCounterOf } = await load('models/tokenizer/gpt-tokenizer.js');
  const counter = tokenCounterOf('openai');
  const limits = { context_size: 128_000, trigger_ratio: 0.8, reserve_ratio: 0.1, max_image_num: 5 };
  const toolkit = new Toolkit([look]);
  const permissions = permissionContext('default');
  let ids = 0;
  const reply = async (calls) => {
    const request = {
      reply_id: 'r',
      run_id: 'run',
      session_id: 's',
      agent_name: 'agent',
      system_prompt: 'Be kind.',
      history: [],
      reply: ReplyReducer.blank('r', 'agent'),
      model: { model: new ScriptedModel(calls), parameters: {} },
      fallback: null,
      toolkit,
      permissions,
      shellParser: { parse: () => null },
      window: new ContextWindow({ ...limits, counter, offload: null }),
      state: new AgentState(),
      max_iters: calls + 1,
      signal: new AbortController().signal,
      newId: () => `id${(ids += 1)}`,
      clock: () => new Date(),
    };
    for await (const event of runReply(request)) void event;
    const { finished_reason, content } = request.reply.msg;
    const results = content.filter((block) => block.type === 'tool_result' && block.state === 'success').length;
    if (finished_reason !== 'completed' || results !== calls) throw new Error('The reply is not what was scripted.');
  };
  const apply = (deltas) => {
    const reducer = ReplyReducer.blank('r', 'agent');
    const base = { created_at: '2026-11-20T10:00:00.000Z', run_id: 'run', reply_id: 'r' };
    reducer.apply({ ...base, id: '1', type: 'REPLY_START', session_id: 's', name: 'agent', role: 'assistant' });
    reducer.apply({ ...base, id: '2', type: 'TEXT_BLOCK_START', block_id: 't' });
    for (let i = 0; i < deltas; i += 1) {
      reducer.apply({ ...base, id: 'd', type: 'TEXT_BLOCK_DELTA', block_id: 't', delta: 'word ' });
    }
    if (reducer.msg.content[0].text.length !== deltas * 5) throw new Error('Deltas were lost.');
  };
  return { reply, apply };
}

/** Processor time, not time on the clock: other work on the machine does not count. */
async function perSecond(count, run) {
  const before = process.cpuUsage();
  await run();
  const { user, system } = process.cpuUsage(before);
  return (count / (user + system)) * 1e6;
}

/** Heap after collection, in MB, once each number of turns was made. */
async function heapAfter(turns, reply, gc) {
  const sizes = [];
  let made = 0;
  for (const count of turns) {
    for (; made < count; made += 1) await reply(0);
    gc();
    sizes.push(process.memoryUsage().heapUsed / 2 ** 20);
  }
  return sizes;
}

/** Prints a table; exits with 1 when the loop is slower than promised or memory grows. */
export async function loop() {
  setFlagsFromString('--expose-gc');
  const gc = runInNewContext('gc');
  const { reply, apply } = await makeLoop();
  const runs = {
    replies: () => perSecond(REPLIES, () => times(REPLIES, () => reply(0))),
    'turns that call a tool': () =>
      perSecond(CALLS, () => times(CALLS / CALLS_PER_REPLY, () => reply(CALLS_PER_REPLY))),
    deltas: () => perSecond(DELTAS, () => times(DELTAS / DELTAS_PER_REPLY, () => apply(DELTAS_PER_REPLY))),
  };
  const rates = Object.fromEntries(Object.keys(runs).map((name) => [name, []]));
  // The first round warms up.
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const [name, run] of Object.entries(runs)) {
      gc();
      const rate = await run();
      if (round > 0) rates[name].push(rate);
    }
  }
  console.log(
    `A second of processor time, medians of ${ROUNDS} rounds\n\n| what | a second | at least |\n|---|--:|--:|`,
  );
  for (const [name, measured] of Object.entries(rates)) {
    const rate = Math.round(median(measured));
    console.log(`| ${name} | ${rate} | ${TARGETS[name] ?? ''} |`);
    if (rate < (TARGETS[name] ?? 0)) process.exitCode = 1;
  }
  const [early, late] = await heapAfter(MEMORY_TURNS, reply, gc);
  const [few, many] = MEMORY_TURNS;
  console.log(`\nHeap after ${few} turns ${early.toFixed(1)} MB, after ${many} turns ${late.toFixed(1)} MB`);
  if (late - early > TARGETS.heap) process.exitCode = 1;
  const cores = cpus();
  console.log(
    `Node ${process.version}, ${cores.length} cores (${cores[0]?.model}), load ${loadavg()[0].toFixed(2)}` +
      (process.exitCode ? '; not what is promised' : ''),
  );
}

async function times(count, run) {
  for (let i = 0; i < count; i += 1) await run();
}
