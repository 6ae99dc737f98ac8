import { type DynamicModule, Module } from '@nestjs/common';
import { OffloadsModule } from '../offloads/offloads.module.js';
import { SessionsModule } from '../sessions/sessions.module.js';
import { ToolsController } from './tools.controller.js';
import { TOOL_OPTIONS, type ToolOptions, ToolsService } from './tools.service.js';

@Module({})
export class ToolsModule {
  static forRoot(options: ToolOptions): DynamicModule {
    return {
      global: true,
      module: ToolsModule,
      imports: [OffloadsModule, SessionsModule],
      controllers: [ToolsController],
      providers: [ToolsService, { provide: TOOL_OPTIONS, useValue: options }],
      exports: [ToolsService],
    };
  }
}
