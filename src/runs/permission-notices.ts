import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { PermissionContext } from '../core/permissions/permission-context.js';
import { stateUpdate } from '../core/state/state-update.js';
import { EMPTY_STATE } from '../core/state/session-state.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { Doorbell } from './doorbell.js';
import { jsonDiff } from './json-differ.js';
import { RunStore } from './run.store.js';

/** Tells the followers of a session that its agent may do more or less now. */
@Injectable()
export class PermissionNotices implements OnModuleInit {
  private readonly logger = new Logger(PermissionNotices.name);

  constructor(
    private readonly sessions: SessionsService,
    private readonly store: RunStore,
    private readonly doorbell: Doorbell,
  ) {}

  onModuleInit(): void {
    this.sessions.onPermissionsChanged((principal, sessionId, before, after) =>
      this.tell(principal, sessionId, before, after),
    );
  }

  /** Only the holder of a session writes its log, so it is left for it to say. What changed is on record already, whether or not it is told. */
  async tell(
    principal: Principal,
    sessionId: string,
    before: PermissionContext,
    after: PermissionContext,
  ): Promise<void> {
    const { tasks_context } = EMPTY_STATE;
    const value = stateUpdate(
      { tasks_context, permission_context: before },
      { tasks_context, permission_context: after },
      jsonDiff,
    );
    if (value === null) return;
    try {
      await this.store.notify(principal, sessionId, 'state_updated', value);
      await this.doorbell.ring();
    } catch (error) {
      this.logger.warn({ err: error, session_id: sessionId }, 'A change of permissions could not be told');
    }
  }
}
