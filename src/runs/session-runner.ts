import { Injectable, Logger } from '@nestjs/common';
import { EventLog } from '../events/event-log.js';
import { Config } from '../platform/config/config.js';
import { SessionStore } from '../sessions/session.store.js';
import { Assembler, type Assembly } from './assembler.js';
import { ContextCache } from './context-cache.js';
import { Drain } from './drain.js';
import { EventWriter } from './event-writer.js';
import type { HeldSession } from './held-session.js';
import { RunStore, type Claim } from './run.store.js';

export type ClaimedWork = { [K in Claim['kind']]: Omit<Extract<Claim, { kind: K }>, 'lease'> }[Claim['kind']];

/** Works off a session's runs while its lease is held: the only place that gives numbers, writes the transcript and publishes events. */
@Injectable()
export class SessionRunner {
  private readonly logger = new Logger(SessionRunner.name);
  private readonly contexts: ContextCache;

  constructor(
    private readonly config: Config,
    private readonly store: RunStore,
    private readonly sessions: SessionStore,
    private readonly log: EventLog,
    private readonly assembler: Assembler,
  ) {
    this.contexts = new ContextCache(config.runs.context_messages);
  }

  /** Works from `claimed` until the session has nothing left or the lease is lost. `assembly` serves the first run, if it is made already. */
  async drain(held: HeldSession, claimed: ClaimedWork, assembly?: Assembly): Promise<void> {
    const before = claimed.kind === 'next' ? claimed.run.last_seq - claimed.run.messages.length : claimed.run.last_seq;
    const prev =
      claimed.kind === 'next' ? before : Math.max(claimed.run.committed_seq, (await this.log.top(held)) ?? 0);
    const writer = new EventWriter(this.log, {
      lease: held.lease,
      seq: before,
      prev,
      verify: () => this.store.exists(held),
      onFenced: () => held.lose(),
      onError: (error) =>
        this.logger.error({ err: error, session_id: held.session_id }, 'Events cannot be written, trying again'),
    });
    const { config, store, sessions, assembler, contexts, logger } = this;
    const drain = new Drain({ config, store, sessions, assembler, contexts, logger }, held, writer);
    try {
      let next =
        claimed.kind === 'next'
          ? await drain.run(claimed.run, contexts.take(held.lease, before), assembly)
          : await drain.resume(claimed.run);
      while (next) next = await drain.run(next, drain.context);
    } finally {
      if (held.lost && !drain.concluded) writer.stop();
      await writer.flushed();
    }
  }
}
