import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Permissions, switched-off tools and marks in the configuration of every session, what a session was forked from, and a search by marks. */
export class Sessions1764200000000 implements MigrationInterface {
  readonly name = 'Sessions1764200000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE sessions ADD COLUMN forked_from jsonb;

      UPDATE sessions
        SET config = '{"permission_mode": "default", "permission_rules": [], "disabled_tools": [], "metadata": {}}' || config
        WHERE NOT config ?& ARRAY['permission_mode', 'permission_rules', 'disabled_tools', 'metadata'];

      -- Marks below their owner: a search costs what its owner has, however many others use the same marks. Declared immutable, which
      -- jsonb_build_object is for texts and JSON.
      CREATE FUNCTION session_marks(tenant_id text, user_id text, metadata jsonb) RETURNS jsonb LANGUAGE sql IMMUTABLE PARALLEL SAFE
        AS 'SELECT pg_catalog.jsonb_build_object($1, pg_catalog.jsonb_build_object($2, $3))';
      -- Sessions without marks are not in it. A search by name reads what sessions_owner finds.
      CREATE INDEX sessions_metadata ON sessions USING gin (session_marks(tenant_id, user_id, config->'metadata') jsonb_path_ops)
        WHERE deleted_at IS NULL AND config->'metadata' <> '{}';
    `);
  }

  /** The configuration keeps its fields: an older service ignores them. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP INDEX sessions_metadata;
      DROP FUNCTION session_marks;
      ALTER TABLE sessions DROP COLUMN forked_from;
    `);
  }
}
