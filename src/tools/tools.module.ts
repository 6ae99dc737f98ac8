import { type DynamicModule, Module } from '@nestjs/common';
import { TOOL_FACTORIES, type ToolFactory, ToolsService } from './tools.service.js';

@Module({})
export class ToolsModule {
  static forRoot(factories: readonly ToolFactory[]): DynamicModule {
    return {
      global: true,
      module: ToolsModule,
      providers: [ToolsService, { provide: TOOL_FACTORIES, useValue: factories }],
      exports: [ToolsService],
    };
  }
}
