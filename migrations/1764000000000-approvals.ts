import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What is asked of people, with what was decided; hints that wait for a session; and the state a session had before a run. */
export class Approvals1764000000000 implements MigrationInterface {
  readonly name = 'Approvals1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      ALTER TABLE runs ADD COLUMN state_before jsonb, ADD COLUMN structured_schema jsonb;

      -- hints: inputs that an idle session wakes for, and a parked one does not.
      ALTER TABLE session_leases ADD COLUMN hints integer NOT NULL DEFAULT 0;
      ALTER TABLE session_inputs ALTER COLUMN run_id DROP NOT NULL,
        ADD CONSTRAINT session_inputs_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE;

      -- Written under the row of the session's lease only. input: JSON text as it was asked about, input_hash: its SHA-256 in hex.
      CREATE TABLE approvals (
        tenant_id       text NOT NULL,
        id              uuid NOT NULL,
        user_id         text NOT NULL,
        session_id      uuid NOT NULL,
        run_id          uuid NOT NULL,
        reply_id        text NOT NULL,
        tool_call_id    text NOT NULL,
        tool_name       text NOT NULL,
        kind            text NOT NULL,
        input           text NOT NULL,
        input_hash      text NOT NULL,
        message         text,
        suggested_rules jsonb NOT NULL,
        status          text NOT NULL DEFAULT 'pending',
        created_at      timestamptz NOT NULL DEFAULT now(),
        expires_at      timestamptz NOT NULL,
        decided_at      timestamptz,
        decided_by      text,
        decision        jsonb,
        answer_hash     text,
        PRIMARY KEY (tenant_id, id),
        CONSTRAINT approvals_session FOREIGN KEY (tenant_id, session_id)
          REFERENCES sessions (tenant_id, id) ON DELETE CASCADE
      );
      -- A call that somebody lets run may then be handed to somebody else.
      CREATE UNIQUE INDEX approvals_call ON approvals (tenant_id, session_id, reply_id, tool_call_id, kind);
      CREATE INDEX approvals_inbox ON approvals (tenant_id, user_id, status, id);
      CREATE INDEX approvals_expiry ON approvals (expires_at) WHERE status = 'pending';

      -- Runs that wait already are answered like those to come.
      INSERT INTO approvals (tenant_id, id, user_id, session_id, run_id, reply_id, tool_call_id, tool_name, kind, input, input_hash,
        suggested_rules, expires_at)
      SELECT r.tenant_id, gen_random_uuid(), r.user_id, r.session_id, r.id, r.reply_id::text, c->>'tool_call_id', c->>'name', c->>'kind',
        b.input, encode(sha256(convert_to(b.input, 'UTF8')), 'hex'), '[]', now() + interval '7 days'
      FROM runs r CROSS JOIN LATERAL jsonb_array_elements(r.open_calls) c
      CROSS JOIN LATERAL (
        SELECT e->>'input' AS input FROM messages m, jsonb_array_elements(m.data->'content') e
        WHERE m.tenant_id = r.tenant_id AND m.session_id = r.session_id AND m.reply_id = r.reply_id::text
          AND e->>'type' = 'tool_call' AND e->>'id' = c->>'tool_call_id' LIMIT 1) b
      WHERE r.status = 'waiting';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query(`
      DROP TABLE approvals;
      DELETE FROM session_inputs WHERE run_id IS NULL;
      ALTER TABLE session_inputs DROP CONSTRAINT session_inputs_session, ALTER COLUMN run_id SET NOT NULL;
      ALTER TABLE session_leases DROP COLUMN hints;
      ALTER TABLE runs DROP COLUMN state_before, DROP COLUMN structured_schema;
    `);
  }
}
