import { Module } from '@nestjs/common';
import { UsageRoller } from './usage-roller.js';
import { UsageController } from './usage.controller.js';
import { UsagePgStore } from './usage.pg-store.js';
import { UsageService } from './usage.service.js';
import { UsageStore } from './usage.store.js';

@Module({
  controllers: [UsageController],
  providers: [UsageRoller, UsageService, { provide: UsageStore, useClass: UsagePgStore }],
  exports: [UsageService],
})
export class UsageModule {}
