import { Injectable, Logger, type OnModuleInit } from '@nestjs/common';
import { AgentsService } from '../agents/agents.service.js';
import { type Principal, SystemPrincipal } from '../auth/principal.js';
import { EventLog } from '../events/event-log.js';
import { InterruptBackend } from '../interrupts/interrupt-backend.js';
import { ModelChoiceService } from '../models/model-choice.service.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import type { Page } from '../platform/http/wire.js';
import { newId } from '../platform/ids.js';
import { JobQueues } from '../platform/queue/job-queues.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type {
  CreateSession,
  MessagePage,
  MessagesQuery,
  PatchSession,
  SessionCreated,
  SessionListQuery,
  SessionPatched,
  SessionRecordView,
  SessionStatus,
  SessionView,
} from './session.schema.js';
import { SessionStore, type SessionRecord } from './session.store.js';

const PURGE_QUEUE = 'maintenance';
const PURGE_BATCH = 100;
const CLOSED_AT_ONCE = 100;

@Injectable()
export class SessionsService implements OnModuleInit {
  private readonly logger = new Logger(SessionsService.name);

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
        permission_mode: 'default',
        permission_rules: [],
        disabled_tools: [],
      },
    });
    if (!created) throw new AerieError('session_exists', `You have a session "${external_id}" already.`);
    return { session_id, external_id, warnings: this.models.warnings(body) };
  }

  /** The caller's session by id or name; when an agent is named, it must be the session's. */
  async record(principal: Principal, id: string, agentId?: string): Promise<SessionRecord> {
    const record = await this.store.get(principal, id);
    if (!record || (agentId !== undefined && record.agent_id !== agentId)) throw notFound('session', id);
    return record;
  }

  async get(principal: Principal, id: string, agentId?: string): Promise<SessionView> {
    return toView(await this.record(principal, id, agentId));
  }

  async list(principal: Principal, query: SessionListQuery): Promise<Page<SessionView>> {
    if (query.agent_id !== undefined) await this.agents.record(principal, query.agent_id);
    const page = await this.store.list(principal, query);
    return { ...page, rows: page.rows.map(toView) };
  }

  async update(principal: Principal, id: string, patch: PatchSession, agentId?: string): Promise<SessionPatched> {
    const { id: sessionId, config } = await this.record(principal, id, agentId);
    await this.models.check(principal, patch, config);
    const changes = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
    const updated = await this.store.update(principal, sessionId, (current) => ({ ...current, ...changes }));
    if (!updated) throw notFound('session', id);
    return { ...toRecordView(updated), warnings: this.models.warnings(updated.config) };
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
    const page = await this.store.messages(principal, session.id, query.limit, query.before);
    if (!page) throw invalid('before', 'the session has no such message');
    return page;
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

function toRecordView(record: SessionRecord): SessionRecordView {
  return {
    id: record.id,
    external_id: record.external_id,
    user_id: record.user_id,
    agent_id: record.agent_id,
    source: record.source,
    config: record.config,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}

function toView(record: SessionRecord): SessionView {
  const { is_running } = record;
  return { session: toRecordView(record), is_running, status: statusOf(record), team: null };
}

/** At work comes before parked, parked before idle. */
export function statusOf({ is_running, open_calls }: SessionRecord): SessionStatus {
  if (is_running) return 'running';
  if (open_calls.length === 0) return 'idle';
  return open_calls.some((call) => call.kind === 'confirm') ? 'awaiting_permission' : 'awaiting_external_result';
}
