import { Injectable } from '@nestjs/common';
import type { AgentRecord } from '../agents/agent.store.js';
import { AgentsService } from '../agents/agents.service.js';
import type { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import type { PermissionContext } from '../core/permissions/permission-context.js';
import type { ShellParser } from '../core/permissions/shell/shell-parser.js';
import { ModelsService } from '../models/models.service.js';
import { AerieError } from '../platform/http/errors.js';
import { permissionsOf } from '../sessions/session-permissions.js';
import type { SessionRecord } from '../sessions/session.store.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { type Equipment, ToolsService } from '../tools/tools.service.js';

/** What one run works with besides the conversation. */
export interface Assembly extends Equipment {
  readonly principal: Principal;
  readonly session: SessionRecord;
  readonly agent: AgentRecord;
  readonly model: BoundModel;
  readonly fallback: BoundModel | null;
  readonly permissions: PermissionContext;
  readonly shellParser: ShellParser;
}

type Parts = Pick<Assembly, 'session' | 'agent' | 'model' | 'fallback'>;

const MAX_CACHED = 5000;

/**
 * Gathers agent, model and tools. What was gathered for a session is kept and used again until the database says that session, agents or
 * credentials have changed since: whoever uses a kept one has its versions checked where the run is put on record.
 */
@Injectable()
export class Assembler {
  private readonly kept = new Map<string, Parts>();

  constructor(
    private readonly sessions: SessionsService,
    private readonly agents: AgentsService,
    private readonly models: ModelsService,
    private readonly tools: ToolsService,
  ) {}

  /** Possibly of an older configuration; `forget` it when the database says so. Fails with the codes of what is missing. */
  async prepare(principal: Principal, sessionId: string, agentId?: string): Promise<Assembly> {
    const key = keyOf(principal, sessionId);
    const kept = this.kept.get(key);
    const isFit = kept && (agentId === undefined || kept.agent.id === agentId);
    const parts = isFit
      ? kept
      : await this.gather(principal, await this.sessions.record(principal, sessionId, agentId));
    this.keep(key, parts);
    return this.complete(principal, parts);
  }

  /** Of the configuration as it is now. */
  async current(principal: Principal, sessionId: string): Promise<Assembly> {
    const session = await this.sessions.record(principal, sessionId);
    const kept = this.kept.get(keyOf(principal, sessionId));
    const isCurrent =
      kept?.session.version === session.version && kept.session.config_version === session.config_version;
    const parts = isCurrent && kept.session.id === session.id ? kept : await this.gather(principal, session);
    return this.complete(principal, parts);
  }

  forget(principal: Principal, sessionId: string): void {
    this.kept.delete(keyOf(principal, sessionId));
  }

  private async gather(principal: Principal, session: SessionRecord): Promise<Parts> {
    const agent = await this.agents.record(principal, session.agent_id);
    const config = session.config.chat_model_config ?? agent.data.chat_model_config;
    if (!config) {
      throw new AerieError('model_not_configured', 'Neither the session nor its agent has a chat_model_config.', {
        session_id: session.id,
        agent_id: agent.id,
      });
    }
    const fallback = session.config.fallback_chat_model_config ?? agent.data.fallback_chat_model_config;
    const [model, second] = await Promise.all([
      this.models.bind(principal, config),
      fallback ? this.models.bind(principal, fallback) : null,
    ]);
    return { session, agent, model, fallback: second };
  }

  private async complete(principal: Principal, parts: Parts): Promise<Assembly> {
    const { agent, session } = parts;
    const request = { principal, agent_id: agent.id, session_id: session.id };
    const equipment = await this.tools.equip(request, session.config.disabled_tools);
    const permissions = permissionsOf(session.config);
    return { ...parts, principal, ...equipment, permissions, shellParser: this.tools.shellParser };
  }

  private keep(key: string, parts: Parts): void {
    this.kept.delete(key);
    this.kept.set(key, parts);
    const [oldest] = this.kept.keys();
    if (this.kept.size > MAX_CACHED && oldest !== undefined) this.kept.delete(oldest);
  }
}

const keyOf = ({ tenant_id, user_id }: Principal, sessionId: string): string =>
  JSON.stringify([tenant_id, user_id, sessionId]);
