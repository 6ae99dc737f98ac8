import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import { AgentEntity } from '../agents/agent.entity.js';
import type { ForkedFrom, SessionConfig } from './session.schema.js';

@Entity('sessions')
@Index('sessions_owner', ['tenant_id', 'user_id', 'id'], { where: 'deleted_at IS NULL' })
@Index('sessions_of_agent', ['tenant_id', 'agent_id', 'id'])
@Index('sessions_external_id', ['tenant_id', 'user_id', 'external_id'], { unique: true, where: 'deleted_at IS NULL' })
@Index('sessions_deleted', ['deleted_at'], { where: 'deleted_at IS NOT NULL' })
@Index('sessions_chat_credential', { synchronize: false })
@Index('sessions_fallback_credential', { synchronize: false })
@Index('sessions_metadata', { synchronize: false })
@ForeignKey(() => AgentEntity, ['tenant_id', 'agent_id'], ['tenant_id', 'id'], { name: 'sessions_agent' })
export class SessionEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') user_id!: string;
  @Column('uuid') agent_id!: string;
  @Column('text', { nullable: true }) external_id!: string | null;
  @Column('text', { default: 'user' }) source!: 'user' | 'schedule';
  @Column('jsonb') config!: SessionConfig;
  @Column('jsonb') state!: Record<string, unknown>;
  @Column('jsonb', { nullable: true }) forked_from!: ForkedFrom | null;
  @Column('integer', { default: 0 }) version!: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at!: Date;
  @Column('timestamptz', { nullable: true }) deleted_at!: Date | null;
}
