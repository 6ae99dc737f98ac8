import { Module } from '@nestjs/common';
import { RunsModule } from '../runs/runs.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { ApprovalExpiry } from './approval-expiry.js';
import { ApprovalRecordsModule } from './approval-records.module.js';
import { ApprovalsController } from './approvals.controller.js';
import { ApprovalsService } from './approvals.service.js';

@Module({
  imports: [ApprovalRecordsModule, RunsModule, SessionsModule],
  controllers: [ApprovalsController],
  providers: [ApprovalExpiry, ApprovalsService],
})
export class ApprovalsModule {}
