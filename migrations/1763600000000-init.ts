import type { MigrationInterface, QueryRunner } from 'typeorm';

/**
 * The first schema. Every row names its tenant and its user; keys and foreign keys are composite (tenant_id, id), so a row can never
 * point into another tenant. `session_leases` is the narrow row the hot path changes: no index beside its key, so updates stay HOT.
 */
export class Init1763600000000 implements MigrationInterface {
  readonly name = 'Init1763600000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      CREATE TABLE credentials (
        tenant_id  text NOT NULL,
        id         uuid NOT NULL,
        user_id    text NOT NULL,
        type       text NOT NULL,
        name       text NOT NULL,
        data       jsonb NOT NULL,
        secrets    jsonb,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id)
      );
      CREATE INDEX credentials_owner ON credentials (tenant_id, user_id, id);

      CREATE TABLE agents (
        tenant_id  text NOT NULL,
        id         uuid NOT NULL,
        user_id    text NOT NULL,
        source     text NOT NULL DEFAULT 'user',
        data       jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        updated_at timestamptz NOT NULL DEFAULT now(),
        deleted_at timestamptz,
        PRIMARY KEY (tenant_id, id)
      );
      CREATE INDEX agents_owner ON agents (tenant_id, user_id, id) WHERE deleted_at IS NULL;
      CREATE INDEX agents_deleted ON agents (deleted_at) WHERE deleted_at IS NOT NULL;

      CREATE TABLE sessions (
        tenant_id   text NOT NULL,
        id          uuid NOT NULL,
        user_id     text NOT NULL,
        agent_id    uuid NOT NULL,
        external_id text,
        source      text NOT NULL DEFAULT 'user',
        config      jsonb NOT NULL,
        state       jsonb NOT NULL,
        created_at  timestamptz NOT NULL DEFAULT now(),
        updated_at  timestamptz NOT NULL DEFAULT now(),
        deleted_at  timestamptz,
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT sessions_agent FOREIGN KEY (tenant_id, agent_id) REFERENCES agents (tenant_id, id)
      );
      CREATE INDEX sessions_owner ON sessions (tenant_id, user_id, id) WHERE deleted_at IS NULL;
      CREATE INDEX sessions_of_agent ON sessions (tenant_id, agent_id, id);
      CREATE INDEX sessions_deleted ON sessions (deleted_at) WHERE deleted_at IS NOT NULL;
      CREATE UNIQUE INDEX sessions_external_id ON sessions (tenant_id, user_id, external_id) WHERE deleted_at IS NULL;

      CREATE TABLE session_leases (
        tenant_id        text NOT NULL,
        session_id       uuid NOT NULL,
        lease_token      bigint NOT NULL DEFAULT 0,
        lease_owner      text,
        lease_run_id     uuid,
        lease_expires_at timestamptz,
        pending          integer NOT NULL DEFAULT 0,
        reply_seq        bigint NOT NULL DEFAULT 0,
        last_seq         bigint NOT NULL DEFAULT 0,
        PRIMARY KEY (tenant_id, session_id),
        CONSTRAINT session_leases_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      ) WITH (fillfactor = 50);

      CREATE TABLE runs (
        tenant_id         text NOT NULL,
        id                uuid NOT NULL,
        session_id        uuid NOT NULL,
        user_id           text NOT NULL,
        reply_id          uuid NOT NULL,
        status            text NOT NULL,
        attempt           integer NOT NULL DEFAULT 0,
        accepted_at       timestamptz NOT NULL DEFAULT now(),
        started_at        timestamptz,
        finished_at       timestamptz,
        stop_requested_at timestamptz,
        stop_requested_by text,
        usage             jsonb,
        error             jsonb,
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT runs_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      );
      CREATE INDEX runs_of_session ON runs (tenant_id, session_id, id);
      CREATE INDEX runs_open ON runs (accepted_at) WHERE status IN ('queued', 'running');

      CREATE TABLE session_inputs (
        tenant_id  text NOT NULL,
        id         uuid NOT NULL,
        session_id uuid NOT NULL,
        run_id     uuid NOT NULL,
        kind       text NOT NULL,
        payload    jsonb,
        position   bigint GENERATED ALWAYS AS IDENTITY,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT session_inputs_run FOREIGN KEY (tenant_id, run_id)
          REFERENCES runs (tenant_id, id) ON DELETE CASCADE
      );
      CREATE INDEX session_inputs_order ON session_inputs (tenant_id, session_id, position);

      -- position: the number of the message's first event; below zero while its run is queued and it is not in the transcript yet.
      CREATE TABLE messages (
        tenant_id  text NOT NULL,
        session_id uuid NOT NULL,
        reply_id   text NOT NULL,
        step       integer NOT NULL,
        run_id     uuid NOT NULL,
        role       text NOT NULL,
        position   bigint NOT NULL,
        data       jsonb NOT NULL,
        created_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (tenant_id, session_id, reply_id, step),
        CONSTRAINT messages_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      );
      CREATE INDEX messages_order ON messages (tenant_id, session_id, position, step);
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE messages, session_inputs, runs, session_leases, sessions, agents, credentials');
  }
}
