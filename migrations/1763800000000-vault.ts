import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A data key per tenant, wrapped by a master key; a version by which a changed credential is told from the one that was read; and what
 * finds the agents and sessions that name a credential.
 */
export class Vault1763800000000 implements MigrationInterface {
  readonly name = 'Vault1763800000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE tenant_keys (
        tenant_id  text NOT NULL,
        id         uuid NOT NULL,
        kid        text NOT NULL,
        bytes      bytea NOT NULL,
        is_active  boolean NOT NULL DEFAULT true,
        created_at timestamptz NOT NULL DEFAULT now(),
        wrapped_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id)
      );
      CREATE UNIQUE INDEX tenant_keys_active ON tenant_keys (tenant_id) WHERE is_active;
      CREATE INDEX tenant_keys_master ON tenant_keys (kid, tenant_id, id);

      ALTER TABLE credentials ADD COLUMN version integer NOT NULL DEFAULT 0;
      -- Secrets with a data key of their own, which a rotation seals anew: empty after the first one.
      CREATE INDEX credentials_sealed_alone ON credentials (tenant_id, id) WHERE secrets->>'v' = '1';

      CREATE INDEX agents_chat_credential ON agents (tenant_id, user_id, lower(data #>> '{chat_model_config,credential_id}'), id)
        WHERE deleted_at IS NULL AND data #>> '{chat_model_config,credential_id}' IS NOT NULL;
      CREATE INDEX agents_fallback_credential ON agents (tenant_id, user_id, lower(data #>> '{fallback_chat_model_config,credential_id}'), id)
        WHERE deleted_at IS NULL AND data #>> '{fallback_chat_model_config,credential_id}' IS NOT NULL;
      CREATE INDEX sessions_chat_credential ON sessions (tenant_id, user_id, lower(config #>> '{chat_model_config,credential_id}'), id)
        WHERE deleted_at IS NULL AND config #>> '{chat_model_config,credential_id}' IS NOT NULL;
      CREATE INDEX sessions_fallback_credential ON sessions (tenant_id, user_id, lower(config #>> '{fallback_chat_model_config,credential_id}'), id)
        WHERE deleted_at IS NULL AND config #>> '{fallback_chat_model_config,credential_id}' IS NOT NULL;
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX sessions_fallback_credential, sessions_chat_credential, agents_fallback_credential, agents_chat_credential,
        credentials_sealed_alone;
      ALTER TABLE credentials DROP COLUMN version;
      DROP TABLE tenant_keys;
    `);
  }
}
