import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * Runs that park, are stopped, handed over and explained; the ledger of tool calls; the heartbeats of nodes; and a version per tenant by
 * which a node knows that the agents and credentials it has at hand are still the current ones.
 */
export class Runs1763700000000 implements MigrationInterface {
  readonly name = 'Runs1763700000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- signals: inputs that are taken even while a run waits (answers, stops, notices); pending: queued runs.
      ALTER TABLE session_leases
        ADD COLUMN signals integer NOT NULL DEFAULT 0,
        ADD COLUMN waiting_run_id uuid,
        ADD COLUMN stop_run_id uuid,
        ADD COLUMN stop_mode text,
        ADD COLUMN collect_run_id uuid,
        ADD COLUMN collect_until timestamptz,
        ADD COLUMN collect_count integer NOT NULL DEFAULT 0;

      ALTER TABLE sessions ADD COLUMN version integer NOT NULL DEFAULT 0;

      ALTER TABLE runs
        ADD COLUMN owner text,
        ADD COLUMN resumed_at timestamptz,
        ADD COLUMN work_ms bigint NOT NULL DEFAULT 0,
        ADD COLUMN stop_mode text,
        ADD COLUMN open_calls jsonb,
        ADD COLUMN end_seq bigint,
        ADD COLUMN ending jsonb,
        ADD COLUMN ended_at timestamptz,
        ADD COLUMN trail jsonb;
      DROP INDEX runs_open;
      CREATE INDEX runs_open ON runs (status, tenant_id, accepted_at) WHERE status IN ('queued', 'running');
      CREATE INDEX runs_ended ON runs USING brin (ended_at);

      CREATE INDEX session_inputs_signals ON session_inputs (created_at) WHERE kind <> 'message';

      ALTER TABLE messages ADD COLUMN removed_at timestamptz;

      CREATE TABLE tool_calls (
        tenant_id    text NOT NULL,
        session_id   uuid NOT NULL,
        reply_id     text NOT NULL,
        tool_call_id text NOT NULL,
        run_id       uuid NOT NULL,
        name         text NOT NULL,
        state        text NOT NULL,
        result       jsonb,
        started_at   timestamptz NOT NULL DEFAULT now(),
        settled_at   timestamptz,
        PRIMARY KEY (tenant_id, session_id, reply_id, tool_call_id),
        CONSTRAINT tool_calls_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      );

      -- flushed_at: every event of runs that the node finished before is in the log.
      CREATE TABLE nodes (
        id         text PRIMARY KEY,
        started_at timestamptz NOT NULL DEFAULT now(),
        seen_at    timestamptz NOT NULL DEFAULT now(),
        flushed_at timestamptz NOT NULL DEFAULT now()
      );

      CREATE TABLE config_versions (tenant_id text PRIMARY KEY, version bigint NOT NULL);
      CREATE FUNCTION bump_config_version() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO config_versions AS v (tenant_id, version) SELECT DISTINCT tenant_id, 1 FROM changed ORDER BY tenant_id
        ON CONFLICT (tenant_id) DO UPDATE SET version = v.version + 1;
        RETURN NULL;
      END $$;
      CREATE TRIGGER agents_updated AFTER UPDATE ON agents
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_config_version();
      CREATE TRIGGER agents_deleted AFTER DELETE ON agents
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_config_version();
      CREATE TRIGGER credentials_updated AFTER UPDATE ON credentials
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_config_version();
      CREATE TRIGGER credentials_deleted AFTER DELETE ON credentials
        REFERENCING OLD TABLE AS changed FOR EACH STATEMENT EXECUTE FUNCTION bump_config_version();
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TRIGGER agents_updated ON agents;
      DROP TRIGGER agents_deleted ON agents;
      DROP TRIGGER credentials_updated ON credentials;
      DROP TRIGGER credentials_deleted ON credentials;
      DROP FUNCTION bump_config_version();
      DROP TABLE config_versions, nodes, tool_calls;
      ALTER TABLE messages DROP COLUMN removed_at;
      DROP INDEX session_inputs_signals, runs_ended, runs_open;
      CREATE INDEX runs_open ON runs (accepted_at) WHERE status IN ('queued', 'running');
      ALTER TABLE runs DROP COLUMN owner, DROP COLUMN resumed_at, DROP COLUMN work_ms, DROP COLUMN stop_mode,
        DROP COLUMN open_calls, DROP COLUMN end_seq, DROP COLUMN ending, DROP COLUMN ended_at, DROP COLUMN trail;
      ALTER TABLE sessions DROP COLUMN version;
      ALTER TABLE session_leases DROP COLUMN signals, DROP COLUMN waiting_run_id, DROP COLUMN stop_run_id, DROP COLUMN stop_mode,
        DROP COLUMN collect_run_id, DROP COLUMN collect_until, DROP COLUMN collect_count;
    `);
  }
}
