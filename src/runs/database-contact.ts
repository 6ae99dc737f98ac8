import { Injectable } from '@nestjs/common';
import { Config } from '../platform/config/config.js';
import { isAway } from '../platform/database/failures.js';

/** When this node could not reach the database: a lease that ran out then says nothing about its holder. */
@Injectable()
export class DatabaseContact {
  private last = Date.now();
  private awaySince: number | undefined;
  private newest: { from: Date; to: Date } | null = null;

  constructor(private readonly config: Config) {}

  get outage(): { from: Date; to: Date } | null {
    return this.newest;
  }

  /** How long a holder may take to renew once the database is back. */
  get grace_ms(): number {
    return Math.ceil(this.config.runs.lease_ms / 3) + 1000;
  }

  async watch<T>(statement: Promise<T>): Promise<T> {
    try {
      const result = await statement;
      const now = Date.now();
      if (this.awaySince !== undefined) {
        this.newest = { from: new Date(this.awaySince), to: new Date(now + this.grace_ms) };
        this.awaySince = undefined;
      }
      this.last = now;
      return result;
    } catch (error) {
      if (isAway(error)) this.awaySince ??= this.last;
      throw error;
    }
  }
}
