import { Inject, Injectable, type OnModuleInit } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { AgentMiddleware } from '../core/agent/middleware.js';
import type { Tool, ToolGroup } from '../core/agent/tool.js';
import { Toolkit } from '../core/agent/toolkit.js';
import type { OffloadStore } from '../core/context/offload-store.js';
import type { ShellParser } from '../core/permissions/shell/shell-parser.js';
import { calculatorTool } from '../core/tools/calculator.js';
import { currentTimeTool } from '../core/tools/current-time.js';
import { planningTools } from '../core/tools/planning/planning-tools.js';
import { readOffloadedTool } from '../core/tools/read-offloaded.js';
import { resetToolsTool } from '../core/tools/reset-tools.js';
import { OffloadsService } from '../offloads/offloads.service.js';
import { loadShellParser } from './shell/tree-sitter-shell-parser.js';

/** For whom an agent is assembled. */
export interface AssemblyRequest {
  readonly principal: Principal;
  readonly agent_id: string;
  readonly session_id: string;
}

type Factory<T> = (request: AssemblyRequest) => Promise<readonly T[]> | readonly T[];

/** Further tools of an application, chosen per caller, agent and session; called once per assembly. */
export type ToolFactory = Factory<Tool>;

/** Middleware of an application, chosen likewise; what it gives is laid around the agent from the outside in. */
export type MiddlewareFactory = Factory<AgentMiddleware>;

/** What an application adds to every agent. */
export interface ToolOptions {
  readonly tools: readonly ToolFactory[];
  readonly groups: readonly ToolGroup[];
  readonly middleware: readonly MiddlewareFactory[];
}

export const TOOL_OPTIONS = Symbol('tool options');

/** What an agent works with besides its model. */
export interface Equipment {
  readonly toolkit: Toolkit;
  readonly middleware: readonly AgentMiddleware[];
  /** Where the session puts aside what its model has no room for. */
  readonly offload: OffloadStore;
}

@Injectable()
export class ToolsService implements OnModuleInit {
  private readonly builtIn: readonly Tool[];
  private readonly plain: Toolkit;
  private parser: ShellParser | undefined;

  constructor(
    @Inject(TOOL_OPTIONS) private readonly options: ToolOptions,
    private readonly offloads: OffloadsService,
  ) {
    const { groups } = options;
    const choice = groups.length > 0 ? [resetToolsTool(groups)] : [];
    this.builtIn = [currentTimeTool(), calculatorTool, ...planningTools(), readOffloadedTool, ...choice];
    this.plain = new Toolkit(this.builtIn, { groups });
  }

  /** Loaded before the service takes calls: commands are judged without waiting. */
  get shellParser(): ShellParser {
    if (this.parser === undefined) throw new Error('the shell parser is not loaded yet');
    return this.parser;
  }

  async onModuleInit(): Promise<void> {
    this.parser = await loadShellParser();
  }

  /** `disabled`: names of tools that the session does without. */
  async equip(request: AssemblyRequest, disabled: readonly string[]): Promise<Equipment> {
    const { tools, middleware, groups } = this.options;
    const [more, layers] = await Promise.all([gather(tools, request), gather(middleware, request)]);
    const offload = this.offloads.of(request.principal, request.session_id);
    const isPlain = more.length === 0 && disabled.length === 0;
    const toolkit = isPlain ? this.plain : new Toolkit([...this.builtIn, ...more], { groups, disabled });
    return { toolkit, middleware: layers, offload };
  }
}

async function gather<T>(factories: readonly Factory<T>[], request: AssemblyRequest): Promise<T[]> {
  if (factories.length === 0) return [];
  return (await Promise.all(factories.map(async (factory) => factory(request)))).flat();
}
