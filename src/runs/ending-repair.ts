import { Injectable, Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { SystemPrincipal } from '../auth/principal.js';
import { EventLog } from '../events/event-log.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { type EndedRun, NodeStore } from './node.store.js';
import { RunStore } from './run.store.js';

const PAGE = 200;
const RETRY_MS = { first: 50, max: 2000 };

/**
 * Says the last events of runs whose holder died between its commit and the log. They are on the run row and have the numbers they were
 * given, so saying them twice changes nothing, and a later holder's numbers shut them out.
 */
@Injectable()
export class EndingRepair {
  private readonly logger = new Logger(EndingRepair.name);
  private readonly system = new SystemPrincipal('endings');

  constructor(
    private readonly log: EventLog,
    private readonly nodes: NodeStore,
    private readonly runs: RunStore,
  ) {}

  /** For whoever goes on with a session it did not hold last: all up to `lastSeq` was committed. */
  async before(session: SessionRef, lastSeq: number): Promise<void> {
    const top = await this.log.top(session);
    if (top === null || top >= lastSeq) return;
    const run = await this.nodes.lastEnded(this.system, session);
    if (run && run.end_seq > top) await this.append(run, false);
  }

  /** For a session whose log lost what was said of its last run. Tries for as long as a store is away; who holds the session now shuts it out. */
  async afterLoss(session: SessionRef): Promise<void> {
    for (let wait = RETRY_MS.first; ; wait = Math.min(wait * 2, RETRY_MS.max)) {
      try {
        const run = await this.nodes.lastEnded(this.system, session);
        if (run) await this.say(run);
        return;
      } catch (error) {
        if (wait === RETRY_MS.first)
          this.logger.error({ err: error, ...session }, 'A loss of events cannot be told yet');
        await delay(wait, undefined, { ref: false });
      }
    }
  }

  /** All that a dead node may not have said; fails when the log is away. */
  async ofNode(node: string): Promise<number> {
    let said = 0;
    for (let after: string | null = null; ;) {
      const runs: EndedRun[] = await this.nodes.unflushed(this.system, node, after, PAGE);
      for (const run of runs) said += (await this.say(run)) ? 1 : 0;
      const last = runs.at(-1);
      if (runs.length < PAGE || !last) return said;
      after = last.run_id;
    }
  }

  private async say(run: EndedRun): Promise<boolean> {
    const top = await this.log.top(run);
    if (top !== null && top >= run.end_seq) return false;
    if (top === null && !(await this.runs.exists(run))) return false;
    await this.append(run, top === null);
    return true;
  }

  private async append(run: EndedRun, create: boolean): Promise<void> {
    const { tenant_id, session_id, ending, end_seq } = run;
    await this.log.append({
      tenant_id,
      session_id,
      token: ending.token,
      prev: ending.seq - 1,
      first: ending.seq,
      last: end_seq,
      frames: ending.frames,
      acknowledged: 0,
      keep_from: end_seq,
      create,
    });
  }
}
