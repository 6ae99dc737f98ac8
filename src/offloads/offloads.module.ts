import { Module } from '@nestjs/common';
import { OffloadPgStore } from './offload.pg-store.js';
import { OffloadRecordStore } from './offload.store.js';
import { OffloadsService } from './offloads.service.js';

@Module({
  providers: [OffloadsService, { provide: OffloadRecordStore, useClass: OffloadPgStore }],
  exports: [OffloadsService],
})
export class OffloadsModule {}
