import { Module } from '@nestjs/common';
import { ApprovalPgStore } from './approval.pg-store.js';
import { ApprovalStore } from './approval.store.js';

@Module({ providers: [{ provide: ApprovalStore, useClass: ApprovalPgStore }], exports: [ApprovalStore] })
export class ApprovalRecordsModule {}
