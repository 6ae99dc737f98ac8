import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { ErrorType } from '../core/messages/message.js';

/** One model call, as its run put it on record. */
@Entity('model_calls')
@Index('model_calls_unrolled', ['id'], { where: 'NOT rolled' })
@Index('model_calls_user', ['tenant_id', 'user_id', 'id'])
export class ModelCallEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('uuid') session_id!: string;
  @Column('uuid') run_id!: string;
  @Column('text') reply_id!: string;
  @Column('uuid') agent_id!: string;
  @Column('text') user_id!: string;
  @Column('uuid', { nullable: true }) credential_id!: string | null;
  @Column('text') provider!: string;
  @Column('text') model!: string;
  @Column('integer') attempt!: number;
  @Column('boolean') is_fallback!: boolean;
  @Column('text') outcome!: 'completed' | 'interrupted' | 'failed';
  @Column('text', { nullable: true }) error_type!: ErrorType | null;
  @Column('bigint') input_tokens!: number;
  @Column('bigint') output_tokens!: number;
  @Column('bigint') cache_input_tokens!: number;
  @Column('bigint') cache_creation_input_tokens!: number;
  @Column('bigint') reasoning_tokens!: number;
  @Column('numeric', { nullable: true }) cost!: string | null;
  @Column('text', { nullable: true }) currency!: string | null;
  @Column('timestamptz') started_at!: Date;
  @Column('timestamptz') ended_at!: Date;
  @Column('boolean', { default: false }) rolled!: boolean;
}

/** Sums of a day. */
@Entity('usage_rollups')
export class UsageRollupEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('date') day!: string;
  @PrimaryColumn('text') user_id!: string;
  @PrimaryColumn('uuid') agent_id!: string;
  @PrimaryColumn('uuid') session_id!: string;
  @PrimaryColumn('uuid') credential_id!: string;
  @PrimaryColumn('text') provider!: string;
  @PrimaryColumn('text') model!: string;
  @PrimaryColumn('text') currency!: string;
  @Column('bigint') calls!: number;
  @Column('bigint') failed_calls!: number;
  @Column('bigint') input_tokens!: number;
  @Column('bigint') output_tokens!: number;
  @Column('bigint') cache_input_tokens!: number;
  @Column('bigint') cache_creation_input_tokens!: number;
  @Column('bigint') reasoning_tokens!: number;
  @Column('numeric') cost!: string;
}
