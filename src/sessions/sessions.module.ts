import { Module } from '@nestjs/common';
import { AgentsModule } from '../agents/agents.module.js';
import { ModelsModule } from '../models/models.module.js';
import { SessionsController } from './sessions.controller.js';
import { SessionsService } from './sessions.service.js';
import { SessionStore } from './session.store.js';
import { SessionTypeormStore } from './session.typeorm-store.js';

@Module({
  imports: [AgentsModule, ModelsModule],
  controllers: [SessionsController],
  providers: [SessionsService, { provide: SessionStore, useClass: SessionTypeormStore }],
  exports: [SessionsService, SessionStore],
})
export class SessionsModule {}
