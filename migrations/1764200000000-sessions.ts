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

      -- Sessions without marks are not in it. What is found is still checked for its owner; a search by name reads those of sessions_owner.
      CREATE INDEX sessions_metadata ON sessions USING gin ((config->'metadata') jsonb_path_ops)
        WHERE deleted_at IS NULL AND config->'metadata' <> '{}';
    `);
  }

  /** The configuration keeps its fields: an older service ignores them. */
  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX sessions_metadata; ALTER TABLE sessions DROP COLUMN forked_from');
  }
}
