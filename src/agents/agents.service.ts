import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { ModelChoiceService } from '../models/model-choice.service.js';
import { invalid, notFound } from '../platform/http/errors.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { isUuid, newId } from '../platform/ids.js';
import { AgentStore, type AgentRecord } from './agent.store.js';
import type { AgentCreated, AgentData, AgentPatched, AgentView, CreateAgent, PatchAgent } from './agent.schema.js';

type DeletionListener = (principal: Principal, agentId: string) => Promise<void>;

@Injectable()
export class AgentsService {
  private readonly listeners: DeletionListener[] = [];

  constructor(
    private readonly store: AgentStore,
    private readonly models: ModelChoiceService,
  ) {}

  /** What else goes when an agent goes (its sessions), without this module knowing of it. Called after the agent is closed. */
  onDelete(listener: DeletionListener): void {
    this.listeners.push(listener);
  }

  async create(principal: Principal, data: CreateAgent): Promise<AgentCreated> {
    await this.models.check(principal, data);
    const id = newId();
    await this.store.create(principal, id, data);
    return { agent_id: id, warnings: this.models.warnings(data) };
  }

  async record(principal: Principal, id: string): Promise<AgentRecord> {
    const record = isUuid(id) ? await this.store.get(principal, id) : null;
    if (!record) throw notFound('agent', id);
    return record;
  }

  async get(principal: Principal, id: string): Promise<AgentView> {
    return toView(await this.record(principal, id));
  }

  async list(principal: Principal, query: ListQuery): Promise<Page<AgentView>> {
    const page = await this.store.list(principal, query);
    return { ...page, rows: page.rows.map(toView) };
  }

  async update(principal: Principal, id: string, patch: PatchAgent): Promise<AgentPatched> {
    const { data: stored } = await this.record(principal, id);
    await this.models.check(principal, patch, stored);
    const updated = await this.store.update(principal, id, (data) => merge(data, patch));
    if (!updated) throw notFound('agent', id);
    return { ...toView(updated), warnings: this.models.warnings(updated.data) };
  }

  async delete(principal: Principal, id: string): Promise<void> {
    if (!isUuid(id) || !(await this.store.delete(principal, id))) throw notFound('agent', id);
    for (const listener of this.listeners) await listener(principal, id);
  }

  purge(system: SystemPrincipal, limit: number): Promise<number> {
    return this.store.purge(system, limit);
  }
}

/** Absent fields stay; the nested configurations merge field by field. */
function merge(data: AgentData, patch: PatchAgent): AgentData {
  const merged: AgentData = {
    ...data,
    ...Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined)),
    context_config: { ...data.context_config, ...patch.context_config },
    react_config: { ...data.react_config, ...patch.react_config },
    invite_config: { ...data.invite_config, ...patch.invite_config },
  };
  if (merged.invite_config.invitable && !merged.invite_config.invite_description) {
    throw invalid('invite_config.invite_description', 'an invitable agent needs a description');
  }
  return merged;
}

function toView(record: AgentRecord): AgentView {
  return {
    id: record.id,
    user_id: record.user_id,
    source: record.source,
    data: record.data,
    editable: true,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}
