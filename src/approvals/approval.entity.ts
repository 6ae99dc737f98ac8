import { Column, Entity, ForeignKey, Index, PrimaryColumn } from 'typeorm';
import type { PermissionRule } from '../core/messages/block.js';
import { SessionEntity } from '../sessions/session.entity.js';
import type { ApprovalStatus, CallDecision, CallKind } from './approval.store.js';

@Entity('approvals')
@Index('approvals_call', ['tenant_id', 'session_id', 'reply_id', 'tool_call_id', 'kind'], { unique: true })
@Index('approvals_inbox', ['tenant_id', 'user_id', 'status', 'id'])
@Index('approvals_expiry', ['expires_at'], { where: `status = 'pending'` })
@ForeignKey(() => SessionEntity, ['tenant_id', 'session_id'], ['tenant_id', 'id'], {
  name: 'approvals_session',
  onDelete: 'CASCADE',
})
export class ApprovalEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') user_id!: string;
  @Column('uuid') session_id!: string;
  @Column('uuid') run_id!: string;
  @Column('text') reply_id!: string;
  @Column('text') tool_call_id!: string;
  @Column('text') tool_name!: string;
  @Column('text') kind!: CallKind;
  @Column('text') input!: string;
  @Column('text') input_hash!: string;
  @Column('text', { nullable: true }) message!: string | null;
  @Column('jsonb') suggested_rules!: PermissionRule[];
  @Column('text', { default: 'pending' }) status!: ApprovalStatus;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz') expires_at!: Date;
  @Column('timestamptz', { nullable: true }) decided_at!: Date | null;
  @Column('text', { nullable: true }) decided_by!: string | null;
  @Column('jsonb', { nullable: true }) decision!: CallDecision | null;
  @Column('text', { nullable: true }) answer_hash!: string | null;
}
