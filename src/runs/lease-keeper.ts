import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { SystemPrincipal } from '../auth/principal.js';
import { Config } from '../platform/config/config.js';
import { NodeIdentity } from '../platform/database/database.module.js';
import { Resources } from '../platform/lifecycle/resources.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { DatabaseContact } from './database-contact.js';
import { EndingRepair } from './ending-repair.js';
import { NodeStore } from './node.store.js';
import { RunNode } from './run-node.js';
import { RunStore, type Renewed } from './run.store.js';
import { SessionRunner } from './session-runner.js';

/** How often the runs at work are looked up for a stop whose signal was lost. */
const STOP_CHECK_MS = 250;

/** Keeps the leases of this process, says that it lives, and looks after processes that do not. */
@Injectable()
export class LeaseKeeper implements OnApplicationBootstrap {
  private readonly logger = new Logger(LeaseKeeper.name);
  private readonly system = new SystemPrincipal('leases');
  private checking = false;

  constructor(
    private readonly config: Config,
    private readonly identity: NodeIdentity,
    private readonly store: RunStore,
    private readonly nodes: NodeStore,
    private readonly node: RunNode,
    private readonly runner: SessionRunner,
    private readonly endings: EndingRepair,
    private readonly contact: DatabaseContact,
    private readonly resources: Resources,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.node.isWorker) return;
    await this.resources.start(
      'leases',
      async () => {
        await this.nodes.beat(this.system, this.identity.id, 0);
        return [
          setInterval(() => void this.renew(), this.config.runs.lease_ms / 3),
          setInterval(() => void this.beat(), this.config.runs.lease_ms / 3),
          setInterval(() => void this.checkStops(), STOP_CHECK_MS),
        ];
      },
      async (timers) => {
        for (const timer of timers) clearInterval(timer);
        // What is not in the log yet is left to the others, who find this node silent.
        if (this.runner.unflushedMs === 0) await this.nodes.forget(this.system, this.identity.id);
      },
    );
  }

  private async renew(): Promise<void> {
    const sessions = this.node.sessions;
    if (sessions.length === 0) return;
    const sentAt = performance.now();
    try {
      const leases = sessions.map((session) => session.lease);
      const renewed = await this.contact.watch(this.store.renew(this.system, leases, this.config.runs.lease_ms));
      const ours = new Map(renewed.map((row) => [key(row), row]));
      for (const session of sessions) {
        const row = ours.get(key(session));
        if (row) session.renewed(this.config.runs.lease_ms, sentAt);
        else if (!session.finishing) session.lose();
      }
      this.stop(renewed);
    } catch (error) {
      this.logger.error({ err: error, leases: sessions.length }, 'Leases cannot be renewed');
    }
  }

  private async checkStops(): Promise<void> {
    const sessions = this.node.sessions;
    if (sessions.length === 0 || this.checking) return;
    this.checking = true;
    try {
      const leases = sessions.map((session) => session.lease);
      this.stop(await this.contact.watch(this.store.stops(this.system, leases)));
    } catch (error) {
      this.logger.warn({ err: error }, 'Stops cannot be looked up');
    } finally {
      this.checking = false;
    }
  }

  private stop(rows: readonly Renewed[]): void {
    for (const { stop_run_id, stop_mode, ...ref } of rows) {
      if (stop_run_id) this.node.find(ref)?.stop(stop_run_id, stop_mode ?? 'interrupt');
    }
  }

  private async beat(): Promise<void> {
    try {
      await this.contact.watch(this.nodes.beat(this.system, this.identity.id, this.runner.unflushedMs));
      for (let dead = await this.takeSilent(); dead !== null; dead = await this.takeSilent()) {
        const said = await this.endings.ofNode(dead);
        await this.nodes.forget(this.system, dead);
        this.logger.warn({ node: dead, endings_said: said }, 'A node is gone; what it had not said was said for it');
      }
    } catch (error) {
      this.logger.error({ err: error }, 'The heartbeat of this node failed');
    }
  }

  private takeSilent(): Promise<string | null> {
    return this.nodes.takeSilent(this.system, this.config.runs.lease_ms);
  }
}

const key = (ref: SessionRef): string => `${ref.tenant_id}:${ref.session_id}`;
