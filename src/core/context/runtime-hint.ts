import type { HintBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { Task } from '../state/session-state.js';
import { plainName } from './text.js';

export const RUNTIME_STATE = { label: 'System', sublabel: 'Runtime State' } as const;
const SOURCE = JSON.stringify(RUNTIME_STATE);

/** How old what the model knows of the time may be. */
export const STALE_MS = 30 * 60_000;
/** Share of the room below the trigger in which the model is told that it is running out. */
const BUFFER_RATIO = 0.2;
const MAX_TASKS_SHOWN = 50;

/** What the model can know from its view. */
export interface LastSeen {
  /** When it was told the time, or when the conversation that it sees began; null in an empty one. */
  readonly at: Date | null;
  /** The tasks as it was told them, '' when it was not; null when a tool of planning has shown them since. */
  readonly tasks: string | null;
  /** Whether it was told that the window is nearly full. */
  readonly warned: boolean;
}

/** Looks from the newest block back to the newest runtime state. `taskTools` are the tools that show or change the tasks. */
export function lastSeen(view: readonly Msg[], taskTools: ReadonlySet<string>): LastSeen {
  let shown = false;
  for (const msg of view.toReversed()) {
    for (const block of msg.content.toReversed()) {
      if (block.type === 'tool_result' && taskTools.has(block.name)) shown = true;
      if (block.type !== 'hint' || block.source !== SOURCE) continue;
      const text = textOf(block);
      const tasks = shown ? null : (/<tasks>\n([^<]*)\n<\/tasks>/.exec(text)?.[1] ?? '');
      return { at: new Date(block.created_at), tasks, warned: text.includes('<context-length>') };
    }
  }
  // The summary of a compressed conversation has no time of its own.
  const first = view.find(({ created_at }) => Date.parse(created_at) > 0);
  return { at: first ? new Date(first.created_at) : null, tasks: shown ? null : '', warned: false };
}

/**
 * What the model should be told about the state around it, as text of a HintBlock with the source `RUNTIME_STATE`; null when it knows enough:
 * the time is not half an hour old, the tasks are those it saw, and the window is not nearly full. `tokens` are those of the next
 * call and the number from which on the conversation is compressed.
 */
export function runtimeHint(
  now: Date,
  timezone: string,
  tasks: readonly Task[],
  tokens: { readonly used: number; readonly limit: number } | null,
  last: LastSeen,
): string | null {
  const listed = listOf(tasks);
  const isStale = last.at !== null && now.getTime() - last.at.getTime() > STALE_MS;
  const hasNewTasks = last.tasks !== null && listed !== last.tasks && !(last.tasks === '' && tasks.length === 0);
  const isNearlyFull = tokens !== null && tokens.used >= (1 - BUFFER_RATIO) * tokens.limit;
  if (!isStale && !hasNewTasks && (!isNearlyFull || last.warned)) return null;
  const lines = [
    `<current-time>${localTime(now, timezone)}</current-time>`,
    `<timezone>${plainName(timezone)}</timezone>`,
  ];
  if (tasks.length > 0 || hasNewTasks) lines.push(`<tasks>\n${listed}\n</tasks>`);
  if (isNearlyFull) {
    const { used, limit } = tokens;
    lines.push(
      `<context-length>${used} of ${limit} tokens are used; beyond that older messages are replaced by a summary.</context-length>`,
    );
  }
  return `<system-reminder>\n${lines.join('\n')}\n</system-reminder>`;
}

/** What is open first; without angle brackets, so that it cannot end its element. */
function listOf(tasks: readonly Task[]): string {
  if (tasks.length === 0) return 'none';
  const ordered = [...tasks.filter(isOpen), ...tasks.filter((task) => !isOpen(task))];
  const lines = ordered
    .slice(0, MAX_TASKS_SHOWN)
    .map(({ id, state, subject, owner }) => plainName(`${id} [${state}] ${subject}${owner ? ` (${owner})` : ''}`));
  if (tasks.length > MAX_TASKS_SHOWN) lines.push(`and ${tasks.length - MAX_TASKS_SHOWN} more`);
  return lines.join('\n');
}

const isOpen = ({ state }: Task): boolean => state !== 'completed';

const textOf = ({ hint }: HintBlock): string =>
  typeof hint === 'string' ? hint : hint.map((block) => (block.type === 'text' ? block.text : '')).join('\n');

/** ISO-8601 without an offset, for the zone is told beside it. */
function localTime(now: Date, timeZone: string): string {
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone, dateStyle: 'short', timeStyle: 'medium' });
  return format.format(now).replace(' ', 'T');
}
