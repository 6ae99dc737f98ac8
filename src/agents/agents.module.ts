import { Module } from '@nestjs/common';
import { ModelsModule } from '../models/models.module.js';
import { AgentsController } from './agents.controller.js';
import { AgentsService } from './agents.service.js';
import { AgentStore } from './agent.store.js';
import { AgentTypeormStore } from './agent.typeorm-store.js';

@Module({
  imports: [ModelsModule],
  controllers: [AgentsController],
  providers: [AgentsService, { provide: AgentStore, useClass: AgentTypeormStore }],
  exports: [AgentsService],
})
export class AgentsModule {}
