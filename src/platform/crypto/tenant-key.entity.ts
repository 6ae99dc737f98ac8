import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

@Entity('tenant_keys')
@Index('tenant_keys_active', ['tenant_id'], { unique: true, where: 'is_active' })
@Index('tenant_keys_master', ['kid', 'tenant_id', 'id'])
export class TenantKeyEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') kid!: string;
  @Column('bytea') bytes!: Buffer;
  @Column('boolean', { default: true }) is_active!: boolean;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) wrapped_at!: Date;
}
