import { Injectable, type OnModuleInit } from '@nestjs/common';
import { SystemPrincipal } from '../auth/principal.js';
import { ConfigError } from '../platform/config/config-error.js';
import { KeyProvider } from '../platform/crypto/key-provider.js';
import { SealError } from '../platform/crypto/seal.js';
import { TenantKeyStore } from '../platform/crypto/tenant-key.store.js';
import { Vault } from '../platform/crypto/vault.js';
import { CredentialStore, type SealedAlone } from './credential.store.js';
import { placeOf } from './credentials.service.js';

/** What a master key still holds: `data_keys` of tenants, and `secrets` of the old form that it holds alone. */
export interface MasterKeyUse {
  readonly kid: string;
  readonly data_keys: number;
  readonly secrets: number;
  readonly is_active: boolean;
  /** Whether this process can open it. */
  readonly is_held: boolean;
}

export interface RotationProgress {
  readonly rewrapped: number;
  readonly resealed: number;
  readonly unreadable: number;
}

export interface RotationResult extends RotationProgress {
  /** The first ones that could not be opened, by tenant and id. */
  readonly faults: readonly { kind: 'data key' | 'credential'; tenant_id: string; id: string; reason: string }[];
  readonly uses: readonly MasterKeyUse[];
}

const BATCH = 100;
const MAX_FAULTS = 100;

/**
 * Moves everything to the master key that wraps now: data keys are wrapped again, secrets of the old form get the data key of their tenant.
 * Each row is one statement that changes nothing if somebody else changed it first. So the service goes on meanwhile, and a rotation that
 * was broken off is simply started again.
 */
@Injectable()
export class KeyRotation implements OnModuleInit {
  private readonly system = new SystemPrincipal('key rotation');

  constructor(
    private readonly provider: KeyProvider,
    private readonly keys: TenantKeyStore,
    private readonly vault: Vault,
    private readonly credentials: CredentialStore,
  ) {}

  /**
   * A process with other master keys than its siblings would store secrets they cannot read, and fail on theirs: it does not start on a
   * database that holds what it cannot open.
   */
  async onModuleInit(): Promise<void> {
    const foreign = (await this.uses()).find((use) => !use.is_held);
    if (!foreign) return;
    throw new ConfigError(
      `AERIE_ENCRYPTION_KEYS: the database has secrets sealed with key ${foreign.kid}, which this process lacks`,
    );
  }

  /** Every master key that something depends on. */
  async uses(): Promise<MasterKeyUse[]> {
    const active = await this.provider.activeKeyId();
    const [dataKeys, secrets] = await Promise.all([
      this.keys.countByMaster(),
      this.credentials.countSealedAlone(this.system),
    ]);
    const kids = [...new Set([...dataKeys, ...secrets].map(({ kid }) => kid))].sort();
    const countOf = (counts: { kid: string; count: number }[], kid: string) =>
      counts.find((it) => it.kid === kid)?.count ?? 0;
    return Promise.all(
      kids.map(async (kid) => ({
        kid,
        data_keys: countOf(dataKeys, kid),
        secrets: countOf(secrets, kid),
        is_active: kid === active,
        is_held: await this.provider.holds(kid),
      })),
    );
  }

  /** Resolves when nothing is left but what cannot be opened. */
  async rotate(onProgress: (progress: RotationProgress) => void): Promise<RotationResult> {
    const counts = { rewrapped: 0, resealed: 0, unreadable: 0 };
    const faults: RotationResult['faults'][number][] = [];
    const failed = (
      kind: 'data key' | 'credential',
      { tenant_id, id }: { tenant_id: string; id: string },
      error: unknown,
    ) => {
      if (!(error instanceof SealError)) throw error;
      counts.unreadable += 1;
      if (faults.length < MAX_FAULTS) faults.push({ kind, tenant_id, id, reason: error.message });
    };
    // A process whose ring begins with another key may add to what is old meanwhile, hence rounds; each tells its own faults.
    for (let moved = 1; moved > 0;) {
      moved = 0;
      counts.unreadable = faults.length = 0;
      const count = (kind: 'rewrapped' | 'resealed', done: boolean) => {
        if (done) counts[kind] += 1;
        moved += 1;
      };
      await this.eachBatch(
        (after: SealedAlone | null) => this.credentials.sealedAlone(this.system, after, BATCH),
        async (row) => count('resealed', await this.reseal(row)),
        (row, error) => failed('credential', row, error),
        () => onProgress({ ...counts }),
      );
      const active = await this.provider.activeKeyId();
      await this.eachBatch(
        (after: { tenant_id: string; id: string } | null) => this.keys.wrappedOtherwise(active, after, BATCH),
        async (key) => count('rewrapped', await this.vault.rewrap(key)),
        (key, error) => failed('data key', key, error),
        () => onProgress({ ...counts }),
      );
    }
    return { ...counts, faults, uses: await this.uses() };
  }

  private async reseal(row: SealedAlone): Promise<boolean> {
    const place = placeOf(row);
    const sealed = await this.vault.seal(await this.vault.open(row.secrets, place), place);
    return this.credentials.reseal(this.system, row, sealed);
  }

  private async eachBatch<T extends C, C>(
    read: (after: C | null) => Promise<T[]>,
    move: (row: T) => Promise<void>,
    failed: (row: T, error: unknown) => void,
    onBatch: () => void,
  ): Promise<void> {
    let last: T | null = null;
    for (let rows = await read(last); rows.length > 0; rows = await read(last)) {
      for (const row of rows) {
        await move(row).catch((error: unknown) => failed(row, error));
        last = row;
      }
      onBatch();
    }
  }
}
