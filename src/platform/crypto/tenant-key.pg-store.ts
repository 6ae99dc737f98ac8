import { Injectable } from '@nestjs/common';
import { Database, type Row } from '../database/database.js';
import type { WrappedKey } from './key-provider.js';
import { type TenantKey, type TenantKeyCursor, TenantKeyStore } from './tenant-key.store.js';

type KeyRow = TenantKey & Row;

const KEY = 'SELECT tenant_id, id, kid, bytes FROM tenant_keys';

@Injectable()
export class TenantKeyPgStore extends TenantKeyStore {
  constructor(private readonly database: Database) {
    super();
  }

  override async get(tenantId: string, id: string): Promise<TenantKey | null> {
    const [key] = await this.database.run<KeyRow>('tenant-key', `${KEY} WHERE tenant_id = $1 AND id = $2`, [
      tenantId,
      id,
    ]);
    return key ?? null;
  }

  override async active(tenantId: string): Promise<TenantKey | null> {
    const [key] = await this.database.run<KeyRow>('tenant-key-active', `${KEY} WHERE tenant_id = $1 AND is_active`, [
      tenantId,
    ]);
    return key ?? null;
  }

  override async add({ tenant_id, id, kid, bytes }: TenantKey): Promise<void> {
    await this.database.run(
      'tenant-key-add',
      `INSERT INTO tenant_keys (tenant_id, id, kid, bytes) VALUES ($1, $2, $3, $4)
       ON CONFLICT (tenant_id) WHERE is_active DO NOTHING`,
      [tenant_id, id, kid, bytes],
    );
  }

  override wrappedOtherwise(kid: string, after: TenantKeyCursor | null, limit: number): Promise<TenantKey[]> {
    return this.database.run<KeyRow>(
      'tenant-keys-otherwise',
      `${KEY} WHERE kid <> $1 AND ($2::text IS NULL OR (tenant_id, id) > ($2, $3::uuid)) ORDER BY tenant_id, id LIMIT $4`,
      [kid, after?.tenant_id ?? null, after?.id ?? null, limit],
    );
  }

  override async rewrap(key: TenantKey, wrapped: WrappedKey): Promise<boolean> {
    const rows = await this.database.run(
      'tenant-key-rewrap',
      `UPDATE tenant_keys SET kid = $5, bytes = $6, wrapped_at = now()
       WHERE tenant_id = $1 AND id = $2 AND kid = $3 AND bytes = $4 RETURNING id`,
      [key.tenant_id, key.id, key.kid, key.bytes, wrapped.kid, wrapped.bytes],
    );
    return rows.length > 0;
  }

  override countByMaster(): Promise<{ kid: string; count: number }[]> {
    return this.database.run<{ kid: string; count: number }>(
      'tenant-keys-by-master',
      'SELECT kid, count(*) AS count FROM tenant_keys GROUP BY kid ORDER BY kid',
      [],
    );
  }
}
