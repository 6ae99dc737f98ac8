import { Column, Entity, Index, PrimaryColumn } from 'typeorm';

@Entity('credentials')
@Index('credentials_owner', ['tenant_id', 'user_id', 'id'])
@Index('credentials_sealed_alone', { synchronize: false })
export class CredentialEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') user_id!: string;
  @Column('text') type!: string;
  @Column('text') name!: string;
  @Column('jsonb') data!: Record<string, unknown>;
  @Column('jsonb', { nullable: true }) secrets!: unknown;
  @Column('integer', { default: 0 }) version!: number;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at!: Date;
}
