import { Column, Entity, ForeignKey, PrimaryColumn } from 'typeorm';
import { SessionEntity } from '../sessions/session.entity.js';

/** What one session put aside. */
@Entity('offloads')
@ForeignKey(() => SessionEntity, ['tenant_id', 'session_id'], ['tenant_id', 'id'], {
  name: 'offloads_session',
  onDelete: 'CASCADE',
})
export class OffloadEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') session_id!: string;
  @PrimaryColumn('text') path!: string;
  @Column('text') media_type!: string;
  /** Bytes. */
  @Column('bigint') size!: number;
  @Column('bytea') content!: Buffer;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
}
