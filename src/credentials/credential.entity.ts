import { Column, Entity, Index, PrimaryColumn } from 'typeorm';
import type { Envelope } from '../platform/crypto/envelope.js';

@Entity('credentials')
@Index('credentials_owner', ['tenant_id', 'user_id', 'id'])
export class CredentialEntity {
  @PrimaryColumn('text') tenant_id!: string;
  @PrimaryColumn('uuid') id!: string;
  @Column('text') user_id!: string;
  @Column('text') type!: string;
  @Column('text') name!: string;
  @Column('jsonb') data!: Record<string, unknown>;
  @Column('jsonb', { nullable: true }) secrets!: Envelope | null;
  @Column('timestamptz', { default: () => 'now()' }) created_at!: Date;
  @Column('timestamptz', { default: () => 'now()' }) updated_at!: Date;
}
