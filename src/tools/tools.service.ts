import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { Tool } from '../core/agent/tool.js';
import { Toolkit } from '../core/agent/toolkit.js';
import { calculatorTool } from '../core/tools/calculator.js';
import type { ShellParser } from '../core/permissions/shell/shell-parser.js';
import { currentTimeTool } from '../core/tools/current-time.js';
import { loadShellParser } from './shell/tree-sitter-shell-parser.js';

export interface ToolRequest {
  readonly principal: Principal;
  readonly agent_id: string;
  readonly session_id: string;
}

/** Further tools of an application, chosen per caller, agent and session; called once per assembly. */
export type ToolFactory = (request: ToolRequest) => Promise<readonly Tool[]> | readonly Tool[];

export const TOOL_FACTORIES = Symbol('tool factories');

@Injectable()
export class ToolsService implements OnModuleInit {
  private readonly builtIn: Tool[] = [currentTimeTool(), calculatorTool];
  private readonly plain = new Toolkit(this.builtIn);

  private parser: ShellParser | undefined;

  constructor(@Inject(TOOL_FACTORIES) private readonly factories: readonly ToolFactory[]) {}

  /** Loaded before the service takes calls: commands are judged without waiting. */
  get shellParser(): ShellParser {
    if (this.parser === undefined) throw new Error('the shell parser is not loaded yet');
    return this.parser;
  }

  async onModuleInit(): Promise<void> {
    this.parser = await loadShellParser();
  }

  async toolkit(request: ToolRequest): Promise<Toolkit> {
    if (this.factories.length === 0) return this.plain;
    const more = await Promise.all(this.factories.map(async (factory) => factory(request)));
    return new Toolkit([...this.builtIn, ...more.flat()]);
  }
}
