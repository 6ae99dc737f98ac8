import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * A data key per tenant, wrapped by a master key; a version by which a changed credential is told from the one that was read; what finds
 * the agents and sessions that name a credential, and what keeps it there while one is being written.
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

      -- A foreign key that is looked at only where a reference is new: a credential may go by force, and those of the operator (ids of
      -- version 5) are in no table. The lock makes whoever deletes it unless it is used wait, and then see what uses it.
      CREATE FUNCTION hold_named_credentials() RETURNS trigger LANGUAGE plpgsql AS $$
      DECLARE
        named jsonb;
        known jsonb;
        field text;
        wanted uuid;
      BEGIN
        IF TG_TABLE_NAME = 'agents' THEN
          named := NEW.data;
          IF TG_OP = 'UPDATE' THEN known := OLD.data; END IF;
        ELSE
          named := NEW.config;
          IF TG_OP = 'UPDATE' THEN known := OLD.config; END IF;
        END IF;
        FOREACH field IN ARRAY ARRAY['chat_model_config', 'fallback_chat_model_config'] LOOP
          wanted := (named #>> ARRAY[field, 'credential_id'])::uuid;
          CONTINUE WHEN wanted IS NULL OR substr(wanted::text, 15, 1) = '5'
            OR wanted = (known #>> ARRAY[field, 'credential_id'])::uuid;
          PERFORM 1 FROM credentials c WHERE c.tenant_id = NEW.tenant_id AND c.id = wanted FOR KEY SHARE;
          IF NOT FOUND THEN
            RAISE EXCEPTION 'there is no such credential'
              USING ERRCODE = 'foreign_key_violation', CONSTRAINT = 'named_credential', DETAIL = wanted::text;
          END IF;
        END LOOP;
        RETURN NULL;
      END $$;
      CREATE TRIGGER agents_named AFTER INSERT OR UPDATE OF data ON agents
        FOR EACH ROW EXECUTE FUNCTION hold_named_credentials();
      CREATE TRIGGER sessions_named AFTER INSERT OR UPDATE OF config ON sessions
        FOR EACH ROW EXECUTE FUNCTION hold_named_credentials();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER sessions_named ON sessions;
      DROP TRIGGER agents_named ON agents;
      DROP FUNCTION hold_named_credentials();
      DROP INDEX sessions_fallback_credential, sessions_chat_credential, agents_fallback_credential, agents_chat_credential,
        credentials_sealed_alone;
      ALTER TABLE credentials DROP COLUMN version;
      DROP TABLE tenant_keys;
    `);
  }
}
