import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { eventually } from '../support/eventually.js';
import type { Follower } from './follower.js';
import { TERMINAL } from './looks.js';
import type { Chance } from '../../src/core/testing/chance.js';
import type { Stage } from './stage.js';

const RETRY_MS = 100;
/** A page of the transcript holds it all. */
const MOST_MESSAGES = 80;
const PATIENCE_MS = 120_000;

export interface Sent {
  readonly id: string;
  readonly run_id: string;
}

/** Says it until it is accepted, under one id; whatever became of an attempt that was not answered. */
export async function send(stage: Stage, session_id: string, id: string, text: string): Promise<string> {
  const client = stage.client();
  for (;;) {
    stage.throwIfClosed();
    const answer = await client
      .request<{ run_id: string }>('POST', '/chat', { session_id, input: { id, content: text } })
      .catch(() => undefined);
    if (answer?.status === 200) return answer.body.run_id;
    if (answer !== undefined && answer.status < 500)
      throw new Error(`/chat refused a message: ${answer.status} ${answer.text}`);
    await delay(RETRY_MS);
  }
}

/** What is asked of an agent: a tool that must run once, one that may run again, a harmless one, and speech in between. */
export function makeText(chance: Chance, tag: string): string {
  const input = () => JSON.stringify({ ms: chance.between(0, 500), tag });
  const speech = () => `/stream ${chance.between(5, 30)} ${chance.pick([2, 20, 50])}`;
  const pieces = [
    () => `/tool record ${input()}`,
    () => `/tool record ${input()}\n/tool record_idempotent ${input()}`,
    () => `/tool calculator {"expression":"6*7"}\n/tool record ${input()}`,
    () => '/tool calculator {"expression":"1+1"}',
    () => '/stream 50 2',
  ];
  const turns = Array.from({ length: chance.between(1, 3) }, () => `${speech()}\n${chance.pick(pieces)()}`);
  return ['/say well', turns.join('\n/then\n'), '/then', speech(), `/say so much for ${tag}`].join('\n');
}

/** Knows which runs are over, by one question for all who wait. */
export class RunWatch {
  private readonly over = new Set<string>();
  private asking: Promise<void> | undefined;

  constructor(private readonly stage: Stage) {}

  async ended(run_id: string): Promise<void> {
    await eventually(async () => {
      await (this.asking ??= this.ask().finally(() => (this.asking = undefined)));
      return this.over.has(run_id) || undefined;
    }, PATIENCE_MS);
  }

  private async ask(): Promise<void> {
    const list = TERMINAL.map((status) => `'${status}'`).join();
    for (const { id } of await this.stage.patientSql<{ id: string }>(`SELECT id FROM runs WHERE status IN (${list})`))
      this.over.add(id);
  }
}

/** One session, whoever speaks in it and whoever listens. */
export class Conversation {
  readonly sent: Sent[] = [];
  repeated = 0;

  constructor(
    private readonly stage: Stage,
    readonly follower: Follower,
    private readonly chance: Chance,
    private readonly watch: RunWatch,
  ) {}

  get session_id(): string {
    return this.follower.session_id;
  }

  /** Speaks at least `least` times, and for as long as the storm lasts; sometimes before the answer to the last message is there. */
  async talk(least: number, isOver: () => boolean): Promise<void> {
    while (this.sent.length < least || (!isOver() && this.sent.length < MOST_MESSAGES)) {
      const run_id = await this.say();
      if (this.chance.hits(0.1)) this.follower.cut();
      if (this.chance.hits(0.7)) await this.watch.ended(run_id);
    }
    for (const { run_id } of this.sent) await this.watch.ended(run_id);
  }

  private async say(): Promise<string> {
    const id = randomUUID();
    const text = makeText(this.chance, `${this.session_id}/${this.sent.length}`);
    const run_id = await send(this.stage, this.session_id, id, text);
    this.sent.push({ id, run_id });
    if (this.chance.hits(0.3)) {
      this.repeated += 1;
      const again = await send(this.stage, this.session_id, id, text);
      if (again !== run_id) throw new Error(`message ${id} was accepted twice, as ${run_id} and ${again}`);
    }
    return run_id;
  }
}
