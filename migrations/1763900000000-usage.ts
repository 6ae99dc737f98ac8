import type { MigrationInterface, QueryRunner } from 'typeorm';

/** What model calls used: one row each, written with the run, and sums per day of them. Both outlive the sessions they belong to. */
export class Usage1763900000000 implements MigrationInterface {
  readonly name = 'Usage1763900000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query(`
      -- Append-only but for rolled: whether the sums hold the row.
      CREATE TABLE model_calls (
        tenant_id                   text NOT NULL,
        id                          uuid NOT NULL,
        session_id                  uuid NOT NULL,
        run_id                      uuid NOT NULL,
        reply_id                    text NOT NULL,
        agent_id                    uuid NOT NULL,
        user_id                     text NOT NULL,
        credential_id               uuid,
        provider                    text NOT NULL,
        model                       text NOT NULL,
        attempt                     integer NOT NULL,
        is_fallback                 boolean NOT NULL,
        outcome                     text NOT NULL,
        error_type                  text,
        input_tokens                bigint NOT NULL,
        output_tokens               bigint NOT NULL,
        cache_input_tokens          bigint NOT NULL,
        cache_creation_input_tokens bigint NOT NULL,
        reasoning_tokens            bigint NOT NULL,
        cost                        numeric,
        currency                    text,
        started_at                  timestamptz NOT NULL,
        ended_at                    timestamptz NOT NULL,
        rolled                      boolean NOT NULL DEFAULT false,
        PRIMARY KEY (tenant_id, id)
      );
      CREATE INDEX model_calls_unrolled ON model_calls (id) WHERE NOT rolled;
      CREATE INDEX model_calls_user ON model_calls (tenant_id, user_id, id);

      -- The zero UUID and the empty currency stand for none: keys know no null.
      CREATE TABLE usage_rollups (
        tenant_id                   text NOT NULL,
        day                         date NOT NULL,
        user_id                     text NOT NULL,
        agent_id                    uuid NOT NULL,
        session_id                  uuid NOT NULL,
        credential_id               uuid NOT NULL,
        provider                    text NOT NULL,
        model                       text NOT NULL,
        currency                    text NOT NULL,
        calls                       bigint NOT NULL,
        failed_calls                bigint NOT NULL,
        input_tokens                bigint NOT NULL,
        output_tokens               bigint NOT NULL,
        cache_input_tokens          bigint NOT NULL,
        cache_creation_input_tokens bigint NOT NULL,
        reasoning_tokens            bigint NOT NULL,
        cost                        numeric NOT NULL,
        PRIMARY KEY (tenant_id, day, user_id, agent_id, session_id, credential_id, provider, model, currency)
      );

      UPDATE runs SET usage = usage || '{"reasoning_tokens": 0}'
        WHERE jsonb_typeof(usage) = 'object' AND NOT usage ? 'reasoning_tokens';
      UPDATE messages SET data = jsonb_set(data, '{head,usage,reasoning_tokens}', '0')
        WHERE jsonb_typeof(data->'head'->'usage') = 'object' AND NOT data->'head'->'usage' ? 'reasoning_tokens';
    `);
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP TABLE usage_rollups, model_calls');
  }
}
