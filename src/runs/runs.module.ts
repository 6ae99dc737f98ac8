import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { ApprovalRecordsModule } from '../approvals/approval-records.module.js';
import { ModelsModule } from '../models/models.module.js';
import { RedisBus } from '../platform/redis/redis.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { Answering } from './answering.service.js';
import { Assembler } from './assembler.js';
import { ChatController } from './chat.controller.js';
import { Claimer } from './claimer.js';
import { DatabaseContact } from './database-contact.js';
import { Doorbell, LocalDoorbell, RedisDoorbell } from './doorbell.js';
import { EndingRepair } from './ending-repair.js';
import { LeaseKeeper } from './lease-keeper.js';
import { NodeStore } from './node.store.js';
import { NodePgStore } from './pg/node.pg-store.js';
import { RunPgStore } from './pg/run.pg-store.js';
import { RunRecordPgStore } from './pg/run-record.pg-store.js';
import { PermissionNotices } from './permission-notices.js';
import { RunControl } from './run-control.service.js';
import { RunNode } from './run-node.js';
import { RunRecordStore } from './run-record.store.js';
import { RunRecords } from './run-records.service.js';
import { RunStore } from './run.store.js';
import { RunWaiter } from './run-waiter.js';
import { RunsController } from './runs.controller.js';
import { RunsService } from './runs.service.js';
import { SessionInbox } from './session-inbox.service.js';
import { SessionRunner } from './session-runner.js';

@Module({
  imports: [AgentsModule, ApprovalRecordsModule, ModelsModule, SessionsModule],
  controllers: [ChatController, RunsController],
  providers: [
    Assembler,
    Claimer,
    DatabaseContact,
    EndingRepair,
    LeaseKeeper,
    Answering,
    PermissionNotices,
    RunControl,
    RunNode,
    RunRecords,
    RunsService,
    RunWaiter,
    SessionInbox,
    SessionRunner,
    { provide: NodeStore, useClass: NodePgStore },
    { provide: RunRecordStore, useClass: RunRecordPgStore },
    { provide: RunStore, useClass: RunPgStore },
    {
      provide: Doorbell,
      inject: [RedisBus],
      useFactory: (bus: RedisBus) =>
        bus.connections ? new RedisDoorbell(bus.connections.pubsub) : new LocalDoorbell(),
    },
  ],
  exports: [Answering, RunsService, RunControl, RunRecords, RunNode, SessionInbox],
})
export class RunsModule {}
