import { type DynamicModule, Module } from '@nestjs/common';
import { TOOL_OPTIONS, type ToolOptions, ToolsService } from './tools.service.js';

@Module({})
export class ToolsModule {
  static forRoot(options: ToolOptions): DynamicModule {
    return {
      global: true,
      module: ToolsModule,
      providers: [ToolsService, { provide: TOOL_OPTIONS, useValue: options }],
      exports: [ToolsService],
    };
  }
}
