import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { AgentData } from './agent.schema.js';

@Entity('agents')
@Index('agents_owner', ['tenant_id', 'user_id', 'id'], { where: 'deleted_at IS NULL' })
@Index('agents_deleted', ['deleted_at'], { where: 'deleted_at IS NOT NULL' })
@Index('agents_chat_credential', { synchronize: false })
@Index('agents_fallback_credential', { synchronize: false })
export class AgentEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') user_id!: string;
  @Column('text', { default: 'user' }) source!: 'user' | 'team';
  @Column('jsonb') data!: AgentData;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at!: Date;
  @Column('timestamptz', { nullable: true }) deleted_at!: Date | null;
}
