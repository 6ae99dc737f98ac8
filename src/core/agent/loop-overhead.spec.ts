import { expect, it } from '@jest/globals';
import { ReplyReducer } from '../events/reply-reducer.js';
import { events, replyStart, textDelta, textStart } from '../testing/event-builders.js';
import { collect, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';

/** A third of what is promised, since tests run beside others; `npm run bench -- loop` holds it to the promise. */
const REPLIES_PER_SECOND = 20_000 / 3;
const TOOL_TURNS_PER_SECOND = 10_000 / 3;
const DELTAS_PER_SECOND = 500_000 / 3;

const ROUNDS = 5;

/** The best of some rounds, in a second of this process's processor time; the first ones warm up. */
async function mostPerSecond(count: number, run: () => Promise<void> | void): Promise<number> {
  let most = 0;
  for (let round = 0; round < ROUNDS; round += 1) {
    const before = process.cpuUsage();
    await run();
    const { user, system } = process.cpuUsage(before);
    most = Math.max(most, (count / (user + system)) * 1e6);
  }
  return most;
}

it('makes replies of one delta at a good rate', async () => {
  const count = 2000;
  const script = [...text('word '), finish()];
  const rate = await mostPerSecond(count, async () => {
    for (let made = 0; made < count; made += 1) {
      const asked = request(new ScriptedModel([script]));
      await collect(asked);
      if (asked.reply.msg.finished_reason !== 'completed') throw new Error('The reply did not complete.');
    }
  });
  expect(rate).toBeGreaterThan(REPLIES_PER_SECOND);
});

it('makes turns that call a tool at a good rate', async () => {
  const turns = 100;
  const replies = 10;
  const look = tool(
    'look',
    async function* () {
      yield { type: 'text', text: 'nothing' };
    },
    { is_read_only: true, is_concurrency_safe: true, is_idempotent: true },
  );
  const calls = Array.from({ length: turns }, (_, at) => [...toolCall(`c${at}`, 'look'), finish()]);
  const script = [...calls, [...text('done'), finish()]];
  const rate = await mostPerSecond(turns * replies, async () => {
    for (let made = 0; made < replies; made += 1) {
      const asked = request(new ScriptedModel(script), { tools: [look], max_iters: turns + 1 });
      await collect(asked);
      const results = asked.reply.msg.content.filter((it) => it.type === 'tool_result' && it.state === 'success');
      if (results.length !== turns) throw new Error('A tool did not run.');
    }
  });
  expect(rate).toBeGreaterThan(TOOL_TURNS_PER_SECOND);
});

it('folds deltas at a good rate', async () => {
  const count = 200_000;
  const [start, block, delta] = events(replyStart(), textStart(), textDelta('word '));
  if (start === undefined || block === undefined || delta === undefined) throw new Error('no events');
  const rate = await mostPerSecond(count, () => {
    const reply = ReplyReducer.blank('r', 'agent');
    reply.apply(start);
    reply.apply(block);
    for (let applied = 0; applied < count; applied += 1) {
      if (!reply.apply(delta)) throw new Error('A delta was ignored.');
    }
  });
  expect(rate).toBeGreaterThan(DELTAS_PER_SECOND);
});
