import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What sessions put aside because the windows of their models have no room for it. */
export class Offloads1764100000000 implements MigrationInterface {
  readonly name = 'Offloads1764100000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE offloads (
        tenant_id  text NOT NULL,
        session_id uuid NOT NULL,
        path       text NOT NULL,
        media_type text NOT NULL,
        size       bigint NOT NULL,
        content    bytea NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, session_id, path),
        CONSTRAINT offloads_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      );
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE offloads');
  }
}
