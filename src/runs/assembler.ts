import { Injectable } from '@nestjs/common';
import type { AgentRecord } from '../agents/agent.store.js';
import { AgentsService } from '../agents/agents.service.js';
import type { Principal } from '../auth/principal.js';
import type { BoundModel } from '../core/agent/reply-request.js';
import { Toolkit } from '../core/agent/toolkit.js';
import { ModelsService } from '../models/models.service.js';
import { AerieError } from '../platform/http/errors.js';
import type { SessionRecord } from '../sessions/session.store.js';
import { ToolsService } from '../tools/tools.service.js';

/** What one run works with besides the conversation. */
export interface Assembly {
  readonly principal: Principal;
  readonly agent: AgentRecord;
  readonly model: BoundModel;
  readonly fallback: BoundModel | null;
  readonly toolkit: Toolkit;
}

@Injectable()
export class Assembler {
  constructor(
    private readonly agents: AgentsService,
    private readonly models: ModelsService,
    private readonly tools: ToolsService,
  ) {}

  /** Gathers agent, model and tools; fails like the request that asked for it: with the codes of what is missing. */
  async assemble(principal: Principal, session: SessionRecord): Promise<Assembly> {
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
    const toolkit = await this.tools.toolkit({ principal, agent_id: agent.id, session_id: session.id });
    return { principal, agent, model, fallback: second, toolkit };
  }
}
