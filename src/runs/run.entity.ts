import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { ToolResultBlock } from '../core/messages/block.js';
import type { ErrorInfo, Usage } from '../core/messages/message.js';
import type { SessionState } from '../core/state/session-state.js';
import { SessionEntity } from '../sessions/session.entity.js';
import type { StepData } from '../sessions/transcript-rows.js';
import type { TrailEntry } from './run-record.store.js';
import type { Ending, OpenCall, RunStatus, SignalInput, StopMode, ToolCallState } from './run.store.js';

const OF_SESSION = [
  ['tenant_id', 'session_id'],
  ['tenant_id', 'id'],
] as const;

@Entity('runs')
@Index('runs_of_session', ['tenant_id', 'session_id', 'id'])
@Index('runs_ended', { synchronize: false })
@Index('runs_open', ['status', 'tenant_id', 'accepted_at'], { where: `status IN ('queued', 'running')` })
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
  @Column('text', { nullable: true }) owner!: string | null;
  @Column('timestamptz', { nullable: true }) resumed_at!: Date | null;
  @Column('bigint', { default: 0 }) work_ms!: number;
  @Column('text', { nullable: true }) stop_mode!: StopMode | null;
  @Column('jsonb', { nullable: true }) open_calls!: OpenCall[] | null;
  @Column('bigint', { nullable: true }) end_seq!: number | null;
  @Column('jsonb', { nullable: true }) ending!: Ending | null;
  @Column('timestamptz', { nullable: true }) ended_at!: Date | null;
  @Column('jsonb', { nullable: true }) trail!: TrailEntry[] | null;
  /** The session's state before the run first changed it. */
  @Column('jsonb', { nullable: true }) state_before!: SessionState | null;
  @Column('jsonb', { nullable: true }) structured_schema!: Record<string, unknown> | null;
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
  @Column('integer', { default: 0 }) signals!: number;
  @Column('uuid', { nullable: true }) waiting_run_id!: string | null;
  @Column('uuid', { nullable: true }) stop_run_id!: string | null;
  @Column('text', { nullable: true }) stop_mode!: StopMode | null;
  @Column('uuid', { nullable: true }) collect_run_id!: string | null;
  @Column('timestamptz', { nullable: true }) collect_until!: Date | null;
  @Column('integer', { default: 0 }) collect_count!: number;
  @Column('integer', { default: 0 }) hints!: number;
}

@Entity('session_inputs')
@Index('session_inputs_signals', ['created_at'], { where: `kind <> 'message'` })
@Index('session_inputs_order', ['tenant_id', 'session_id', 'position'])
@ForeignKey(() => RunEntity, ['tenant_id', 'run_id'], ['tenant_id', 'id'], {
  name: 'session_inputs_run',
  onDelete: 'CASCADE',
})
@ForeignKey(() => SessionEntity, [...OF_SESSION[0]], [...OF_SESSION[1]], {
  name: 'session_inputs_session',
  onDelete: 'CASCADE',
})
export class SessionInputEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('uuid') session_id!: string;
  @Column('uuid', { nullable: true }) run_id!: string | null;
  @Column('text') kind!: 'message' | SignalInput['kind'];
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
  @Column('timestamptz', { nullable: true }) removed_at!: Date | null;
}

@Entity('tool_calls')
@ForeignKey(() => SessionEntity, [...OF_SESSION[0]], [...OF_SESSION[1]], {
  name: 'tool_calls_session',
  onDelete: 'CASCADE',
})
export class ToolCallEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') session_id!: string;
  @PrimaryColumn('text') reply_id!: string;
  @PrimaryColumn('text') tool_call_id!: string;
  @Column('uuid') run_id!: string;
  @Column('text') name!: string;
  @Column('text') state!: ToolCallState;
  @Column('jsonb', { nullable: true }) result!: ToolResultBlock | null;
  @Column('timestamptz', { default: () => 'now()' }) started_at!: Date;
  @Column('timestamptz', { nullable: true }) settled_at!: Date | null;
}

@Entity('nodes')
export class NodeEntity {
  @PrimaryColumn('text') id!: string;
  @Column('timestamptz', { default: () => 'now()' }) started_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) seen_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) flushed_at!: Date;
}

@Entity('config_versions')
export class ConfigVersionEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @Column('bigint') version!: number;
}
