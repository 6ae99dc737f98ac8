import type { MigrationInterface, QueryRunner } from 'typeorm';

/** Who asks for their own usage is not made to wait for the calls of the whole tenant. */
export class UsageByUser1764000000000 implements MigrationInterface {
  readonly name = 'UsageByUser1764000000000';

  async up(runner: QueryRunner): Promise<void> {
    await runner.query('CREATE INDEX model_calls_user ON model_calls (tenant_id, user_id, id)');
  }

  async down(runner: QueryRunner): Promise<void> {
    await runner.query('DROP INDEX model_calls_user');
  }
}
