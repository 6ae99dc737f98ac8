import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { AgentsService } from '../agents/agents.service.js';
import { isDeepStrictEqual } from 'node:util';
import { type Principal, SystemPrincipal } from '../auth/principal.js';
import { interruptedCopy } from '../core/agent/interrupted-copy.js';
import type { PermissionContext } from '../core/permissions/permission-context.js';
import type { SessionState } from '../core/state/session-state.js';
import { EventLog } from '../events/event-log.js';
import { InterruptBackend } from '../interrupts/interrupt-backend.js';
import { ModelChoiceService } from '../models/model-choice.service.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import type { Page } from '../platform/http/wire.js';
import { newId } from '../platform/ids.js';
import { JobQueues } from '../platform/queue/job-queues.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { copyName, patched } from './session-config.js';
import { exportLines, type SessionExport } from './session-export.js';
import { permissionsOf } from './session-permissions.js';
import type {
  CreateSession,
  ForkSession,
  MessagePage,
  MessagesQuery,
  PatchSession,
  SessionCreated,
  SessionForked,
  SessionListQuery,
  SessionPatched,
  SessionTasks,
  SessionView,
} from './session.schema.js';
import { SessionStore, type SessionRecord, type StatefulRecord } from './session.store.js';
import { toRecordView, toView } from './session-views.js';
import { storedState } from './stored-state.js';

type PermissionListener = (
  principal: Principal,
  sessionId: string,
  before: PermissionContext,
  after: PermissionContext,
) => Promise<void>;

const PURGE_QUEUE = 'maintenance';
const PURGE_BATCH = 100;
const CLOSED_AT_ONCE = 100;

@Injectable()
export class SessionsService implements OnModuleInit {
  private readonly logger = new Logger(SessionsService.name);
  private readonly listeners: PermissionListener[] = [];

  constructor(
    private readonly store: SessionStore,
    private readonly agents: AgentsService,
    private readonly models: ModelChoiceService,
    private readonly log: EventLog,
    private readonly interrupts: InterruptBackend,
    private readonly queues: JobQueues,
  ) {}

  async onModuleInit(): Promise<void> {
    this.agents.onDelete(async (principal, agentId) => {
      await this.close(await this.store.delete(principal, { agent_id: agentId }));
      await this.queues.add(PURGE_QUEUE, 'purge');
    });
    await this.queues.process(PURGE_QUEUE, () => this.purge());
  }

  /** Who else is to know that a PATCH changed what calls are judged by, without this module knowing of it. Called after the change. */
  onPermissionsChanged(listener: PermissionListener): void {
    this.listeners.push(listener);
  }

  async create(principal: Principal, body: CreateSession): Promise<SessionCreated> {
    await this.agents.record(principal, body.agent_id);
    await this.models.check(principal, body);
    const session_id = newId();
    const external_id = body.session_id ?? null;
    const created = await this.store.create(principal, {
      id: session_id,
      agent_id: body.agent_id,
      external_id,
      config: {
        name: body.name ?? new Date().toISOString(),
        chat_model_config: body.chat_model_config ?? null,
        fallback_chat_model_config: body.fallback_chat_model_config ?? null,
        permission_mode: body.permission_mode,
        permission_rules: body.permission_rules,
        disabled_tools: body.disabled_tools,
        metadata: body.metadata,
      },
    });
    if (!created) throw nameTaken(external_id);
    return { session_id, external_id, warnings: this.models.warnings(body) };
  }

  /** The caller's session by id or name; when an agent is named, it must be the session's. */
  async record(principal: Principal, id: string, agentId?: string): Promise<SessionRecord> {
    return ofAgent(await this.store.get(principal, id), id, agentId);
  }

  async get(principal: Principal, id: string, agentId?: string): Promise<SessionView> {
    return toView(await this.stateful(principal, id, agentId));
  }

  async tasks(principal: Principal, id: string, agentId?: string): Promise<SessionTasks> {
    return (await this.state(principal, id, agentId)).tasks_context;
  }

  /** What a view may show of what the session remembers. */
  async state(
    principal: Principal,
    id: string,
    agentId?: string,
  ): Promise<Pick<SessionState, 'tasks_context' | 'tools_context'>> {
    return storedState((await this.stateful(principal, id, agentId)).state);
  }

  async list(principal: Principal, query: SessionListQuery): Promise<Page<SessionView>> {
    if (query.agent_id !== undefined) await this.agents.record(principal, query.agent_id);
    const page = await this.store.list(principal, query);
    return { ...page, rows: page.rows.map(toView) };
  }

  async update(principal: Principal, id: string, patch: PatchSession, agentId?: string): Promise<SessionPatched> {
    const { id: sessionId, config } = await this.record(principal, id, agentId);
    await this.models.check(principal, patch, config);
    let before: PermissionContext | undefined;
    const updated = await this.store.update(principal, sessionId, (current) => {
      const next = patched(current, patch);
      before = permissionsOf(current);
      return next;
    });
    if (!updated) throw notFound('session', id);
    const after = permissionsOf(updated.config);
    if (before && !isDeepStrictEqual(before, after)) {
      for (const listener of this.listeners) await listener(principal, sessionId, before, after);
    }
    return { ...toRecordView(updated), warnings: this.models.warnings(updated.config) };
  }

  /** A reply that is at work or parked goes on in the session alone; in the copy it is interrupted. */
  async fork(principal: Principal, id: string, body: ForkSession, agentId?: string): Promise<SessionForked> {
    const source = await this.record(principal, id, agentId);
    const [session_id, external_id, now] = [newId(), body.session_id ?? null, new Date().toISOString()];
    const outcome = await this.store.fork(principal, source.id, {
      id: session_id,
      external_id,
      name: body.name ?? copyName(source.config.name),
      message_id: body.message_id,
      close: (open) => interruptedCopy(open, now),
    });
    if (outcome === 'no_session') throw notFound('session', id);
    if (outcome === 'no_message') throw invalid('message_id', 'the session has no such message');
    if (outcome === 'name_taken') throw nameTaken(external_id);
    return { session_id, external_id };
  }

  async export(principal: Principal, id: string, agentId?: string): Promise<SessionExport> {
    const record = await this.stateful(principal, id, agentId);
    return { session_id: record.id, lines: this.watched(record.id, exportLines(this.store, principal, record)) };
  }

  async delete(principal: Principal, id: string, agentId?: string): Promise<void> {
    const session = await this.record(principal, id, agentId);
    const closed = await this.store.delete(principal, { id: session.id });
    if (closed.length === 0) throw notFound('session', id);
    await this.close(closed);
    await this.queues.add(PURGE_QUEUE, 'purge');
  }

  async messages(principal: Principal, id: string, query: MessagesQuery): Promise<MessagePage> {
    const session = await this.record(principal, id, query.agent_id);
    const page = await this.store.messages(principal, session.id, query.limit, { before: query.before });
    if (!page) throw invalid('before', 'the session has no such message');
    return page;
  }

  /** By the time an export breaks off its answer has begun: the client sees an end too soon, the reason stays here. */
  private async *watched(session_id: string, lines: AsyncIterable<string>): AsyncGenerator<string, void, void> {
    try {
      yield* lines;
    } catch (error) {
      this.logger.warn({ err: error, session_id }, 'An export broke off');
      throw error;
    }
  }

  private async stateful(principal: Principal, id: string, agentId?: string): Promise<StatefulRecord> {
    return ofAgent(await this.store.getWithState(principal, id), id, agentId);
  }

  /** After the tombstone: whoever works on the sessions is told, followers see the end, the rows go in the background. */
  private async close(sessions: SessionRef[]): Promise<void> {
    for (let from = 0; from < sessions.length; from += CLOSED_AT_ONCE) {
      await Promise.all(sessions.slice(from, from + CLOSED_AT_ONCE).map((session) => this.tell(session)));
    }
  }

  /** The session is gone whether or not the bus hears of it: its holder finds out by its next write. */
  private async tell({ tenant_id, session_id }: SessionRef): Promise<void> {
    try {
      const signal = { tenant_id, session_id, run_id: null, mode: 'interrupt' } as const;
      await Promise.all([this.interrupts.publish(signal), this.log.remove({ tenant_id, session_id })]);
    } catch (error) {
      this.logger.warn({ err: error, session_id }, 'The end of a session could not be told');
    }
  }

  private async purge(): Promise<void> {
    const system = new SystemPrincipal('purge');
    let removed = 0;
    for (let count = PURGE_BATCH; count > 0;) {
      count = (await this.store.purge(system, PURGE_BATCH)) + (await this.agents.purge(system, PURGE_BATCH));
      removed += count;
    }
    if (removed > 0) this.logger.debug({ removed }, 'Deleted sessions and agents were purged');
  }
}

function ofAgent<T extends SessionRecord>(record: T | null, id: string, agentId: string | undefined): T {
  if (!record || (agentId !== undefined && record.agent_id !== agentId)) throw notFound('session', id);
  return record;
}

const nameTaken = (name: string | null): AerieError =>
  new AerieError('session_exists', `You have a session "${name}" already.`);
