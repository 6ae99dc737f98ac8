import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { HintBlock } from '../core/messages/block.js';
import { AerieError, notFound } from '../platform/http/errors.js';
import { newId } from '../platform/ids.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { Doorbell } from './doorbell.js';
import { RunStore } from './run.store.js';

export interface GivenHint {
  /** A UUID; the same one again changes nothing while the first waits. Default: a new one. */
  readonly id?: string;
  readonly hint: HintBlock['hint'];
  /** Who says it, for those who look at the reply. */
  readonly source: { readonly label: string; readonly sublabel?: string };
}

/** What other parts of the service, and a host application, have to tell an agent. */
@Injectable()
export class SessionInbox {
  private readonly logger = new Logger(SessionInbox.name);

  constructor(
    private readonly sessions: SessionsService,
    private readonly store: RunStore,
    private readonly doorbell: Doorbell,
  ) {}

  /**
   * Tells the agent of a session something, as a HINT_BLOCK of its reply: before its next model turn when it is at work, when it goes on if
   * it is parked, and in a reply of its own if it is idle. On record when this resolves. Fails with `session_not_found`, or
   * `too_many_pending_inputs` when as many wait already as a session holds.
   */
  async deliver(principal: Principal, sessionId: string, given: GivenHint): Promise<void> {
    const session = await this.sessions.record(principal, sessionId);
    const hint = { id: given.id ?? newId(), hint: given.hint, source: JSON.stringify(given.source) };
    switch (await this.store.deliverHint(principal, session.id, hint)) {
      case 'gone':
        throw notFound('session', sessionId);
      case 'full':
        throw new AerieError('too_many_pending_inputs', 'Too many hints wait in this session.');
      case 'delivered':
        await this.doorbell
          .ring()
          .catch((error: unknown) => this.logger.warn({ err: error }, 'The doorbell could not be rung'));
    }
  }
}
