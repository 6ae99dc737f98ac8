import type { ToolResultBlock } from '../../src/core/messages/block.js';
import { expand } from '../../src/core/events/expand.js';
import { checkGrammar } from '../../src/core/events/grammar.js';
import type { Msg } from '../../src/core/messages/message.js';
import { type Execution, timesRun } from './ledger.js';
import type { Conversation } from './storm-load.js';

/** What is wrong with the transcript of a conversation: every message has to be there once, in order, each with its whole answer. */
export function faultsOfTranscript({ session_id, sent, follower }: Conversation, messages: readonly Msg[]): string[] {
  const faults: string[] = [];
  const expected = sent.flatMap(({ id }) => [`user ${id}`, 'assistant']);
  const stored = messages.map(({ role, id }) => (role === 'user' ? `user ${id}` : role));
  if (stored.join() !== expected.join()) faults.push(`it reads ${stored.join()} where ${expected.join()} was said`);
  for (const reply of messages.filter(({ role }) => role === 'assistant')) {
    if (reply.finished_at === null || reply.finished_reason === null) faults.push(`has no end: ${outline(reply)}`);
    const fault = grammarOf(reply, session_id);
    if (fault !== null) faults.push(`${fault}: ${outline(reply)}`);
    const ends = follower.ends(reply.id).length;
    if (ends > 1) faults.push(`reply ${reply.id} ended ${ends} times`);
  }
  return faults.map((fault) => `session ${session_id}: ${fault}`);
}

/** No call that may not be repeated was, none that ran is forgotten, and none succeeded without having run. */
export function faultsOfTools(executions: readonly Execution[], results: readonly ToolResultBlock[]): string[] {
  const times = timesRun(executions, 'record');
  const known = new Set(results.map(({ id }) => id));
  return [
    ...[...times].filter(([, count]) => count > 1).map(([id, count]) => `call ${id} ran ${count} times`),
    ...[...times.keys()].filter((id) => !known.has(id)).map((id) => `call ${id} ran and is in no transcript`),
    ...results
      .filter(({ id, state }) => state === 'success' && times.get(id) !== 1)
      .map(({ id }) => `call ${id} succeeded and did not run`),
  ];
}

/** The results of the tool that must not run twice. */
export const recordResults = (transcripts: readonly (readonly Msg[])[]): ToolResultBlock[] =>
  transcripts
    .flat()
    .flatMap(({ content }) => content)
    .flatMap((block) => (block.type === 'tool_result' && block.name === 'record' ? [block] : []));

const outline = ({ id, content }: Msg): string =>
  [id, ...content.map((block) => `${block.type} ${'state' in block ? `${block.state} ` : ''}${block.id}`)].join(', ');

function grammarOf(reply: Msg, session_id: string): string | null {
  try {
    checkGrammar(expand([reply], { session_id }), { complete: true });
    return null;
  } catch (error) {
    return String(error);
  }
}
