import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { InterruptsModule } from '../interrupts/interrupts.module.js';
import { ModelsModule } from '../models/models.module.js';
import { RedisBus } from '../platform/redis/redis.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { Assembler } from './assembler.js';
import { Doorbell, LocalDoorbell, RedisDoorbell } from './doorbell.js';
import { RunNode } from './run-node.js';
import { RunPgStore } from './run.pg-store.js';
import { RunStore } from './run.store.js';
import { RunsController } from './runs.controller.js';
import { RunsService } from './runs.service.js';
import { SessionRunner } from './session-runner.js';

@Module({
  imports: [AgentsModule, ModelsModule, SessionsModule, InterruptsModule],
  controllers: [RunsController],
  providers: [
    Assembler,
    RunNode,
    RunsService,
    SessionRunner,
    { provide: RunStore, useClass: RunPgStore },
    {
      provide: Doorbell,
      inject: [RedisBus],
      useFactory: (bus: RedisBus) =>
        bus.connections ? new RedisDoorbell(bus.connections.pubsub) : new LocalDoorbell(),
    },
  ],
  exports: [RunsService, RunNode],
})
export class RunsModule {}
