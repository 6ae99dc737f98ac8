import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { ErrorInfo, Usage } from '../core/messages/message.js';
import { SessionEntity } from '../sessions/session.entity.js';
import type { StepData } from '../sessions/transcript-rows.js';
import type { RunStatus } from './run.store.js';

const OF_SESSION = [
  ['tenant_id', 'session_id'],
  ['tenant_id', 'id'],
] as const;

@Entity('runs')
@Index('runs_of_session', ['tenant_id', 'session_id', 'id'])
@Index('runs_open', ['accepted_at'], { where: `status IN ('queued', 'running')` })
@ForeignKey(() => SessionEntity, [...OF_SESSION[0]], [...OF_SESSION[1]], { name: 'runs_session', onDelete: 'CASCADE' })
export class RunEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('uuid') session_id!: string;
  @Column('text') user_id!: string;
  @Column('uuid') reply_id!: string;
  @Column('text') status!: RunStatus;
  @Column('integer', { default: 0 }) attempt!: number;
  @Column('timestamptz', { default: () => 'now()' }) accepted_at!: Date;
  @Column('timestamptz', { nullable: true }) started_at!: Date | null;
  @Column('timestamptz', { nullable: true }) finished_at!: Date | null;
  @Column('timestamptz', { nullable: true }) stop_requested_at!: Date | null;
  @Column('text', { nullable: true }) stop_requested_by!: string | null;
  @Column('jsonb', { nullable: true }) usage!: Usage | null;
  @Column('jsonb', { nullable: true }) error!: ErrorInfo | null;
}

@Entity('session_leases')
@ForeignKey(() => SessionEntity, [...OF_SESSION[0]], [...OF_SESSION[1]], {
  name: 'session_leases_session',
  onDelete: 'CASCADE',
})
export class SessionLeaseEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') session_id!: string;
  @Column('bigint', { default: 0 }) lease_token!: number;
  @Column('text', { nullable: true }) lease_owner!: string | null;
  @Column('uuid', { nullable: true }) lease_run_id!: string | null;
  @Column('timestamptz', { nullable: true }) lease_expires_at!: Date | null;
  @Column('integer', { default: 0 }) pending!: number;
  @Column('bigint', { default: 0 }) reply_seq!: number;
  @Column('bigint', { default: 0 }) last_seq!: number;
}

@Entity('session_inputs')
@Index('session_inputs_order', ['tenant_id', 'session_id', 'position'])
@ForeignKey(() => RunEntity, ['tenant_id', 'run_id'], ['tenant_id', 'id'], {
  name: 'session_inputs_run',
  onDelete: 'CASCADE',
})
export class SessionInputEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('uuid') session_id!: string;
  @Column('uuid') run_id!: string;
  @Column('text') kind!: 'message';
  @Column('jsonb', { nullable: true }) payload!: unknown;
  @Column('bigint', { generated: 'identity', generatedIdentity: 'ALWAYS' } as never) position!: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
}

@Entity('messages')
@Index('messages_order', ['tenant_id', 'session_id', 'position', 'step'])
@ForeignKey(() => SessionEntity, [...OF_SESSION[0]], [...OF_SESSION[1]], {
  name: 'messages_session',
  onDelete: 'CASCADE',
})
export class MessageEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') session_id!: string;
  @PrimaryColumn('text') reply_id!: string;
  @PrimaryColumn('integer') step!: number;
  @Column('uuid') run_id!: string;
  @Column('text') role!: 'user' | 'assistant';
  @Column('bigint') position!: number;
  @Column('jsonb') data!: StepData;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
}
