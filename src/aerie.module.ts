import { type DynamicModule, Global, Module, type OnModuleDestroy, type Type } from '@nestjs/common';
import { APP_FILTER, APP_PIPE } from '@nestjs/core';
import { setTimeout as delay } from 'node:timers/promises';
import { ScheduleModule } from '@nestjs/schedule';
import { MIGRATIONS } from '../migrations/all.js';
import { AgentEntity } from './agents/agent.entity.js';
import { AgentsModule } from './agents/agents.module.js';
import { ApprovalEntity } from './approvals/approval.entity.js';
import { ApprovalsModule } from './approvals/approvals.module.js';
import { AuthModule } from './auth/auth.module.js';
import type { Authenticator } from './auth/authenticator.js';
import { AUDITED } from './auth/policy.audit.js';
import type { ToolGroup } from './core/agent/tool.js';
import { CredentialEntity } from './credentials/credential.entity.js';
import { CredentialsModule } from './credentials/credentials.module.js';
import { BUILT_IN_CREDENTIAL_TYPES } from './credentials/types/built-in.js';
import { type CredentialType, CredentialTypeRegistry } from './credentials/types/credential-type.js';
import { EventsModule } from './events/events.module.js';
import type { InterruptBackend } from './interrupts/interrupt-backend.js';
import { InterruptsModule } from './interrupts/interrupts.module.js';
import { HealthModule } from './health/health.module.js';
import { ModelsModule } from './models/models.module.js';
import { Config, loadConfig } from './platform/config/config.js';
import { CryptoModule } from './platform/crypto/crypto.module.js';
import type { KeyProvider } from './platform/crypto/key-provider.js';
import { TenantKeyEntity } from './platform/crypto/tenant-key.entity.js';
import { DatabaseModule } from './platform/database/database.module.js';
import { EgressModule } from './platform/egress/egress.module.js';
import { ErrorFilter } from './platform/http/error.filter.js';
import { HttpListener } from './platform/http/listener.js';
import { RouteTable } from './platform/http/route-table.js';
import { validationPipe } from './platform/http/validation.pipe.js';
import { Resources } from './platform/lifecycle/resources.js';
import { ServiceState } from './platform/lifecycle/service-state.js';
import { loggingModule } from './platform/logging/logging.module.js';
import { QueueModule } from './platform/queue/queue.module.js';
import { RedisModule } from './platform/redis/redis.module.js';
import { OffloadEntity } from './offloads/offload.entity.js';
import { OffloadsModule } from './offloads/offloads.module.js';
import type { StreamProtocol } from './protocols/protocol.js';
import { ProtocolsModule } from './protocols/protocols.module.js';
import {
  ConfigVersionEntity,
  MessageEntity,
  NodeEntity,
  RunEntity,
  SessionInputEntity,
  SessionLeaseEntity,
  ToolCallEntity,
} from './runs/run.entity.js';
import { RunsModule } from './runs/runs.module.js';
import { SessionEntity } from './sessions/session.entity.js';
import { SessionsModule } from './sessions/sessions.module.js';
import { ToolsModule } from './tools/tools.module.js';
import type { MiddlewareFactory, ToolFactory } from './tools/tools.service.js';
import { ModelCallEntity, UsageRollupEntity } from './usage/usage.entity.js';
import { UsageModule } from './usage/usage.module.js';

/** Every way to extend the service from a host application. */
export interface AerieOptions {
  /** Default: read from the environment. */
  readonly config?: Config;
  /** Says who the caller is, in place of AUTH_MODE. */
  readonly authenticator?: Authenticator;
  /** Credential types beside the service's own; a type that exists twice stops the start. */
  readonly credentialTypes?: readonly CredentialType[];
  /** Tools beside the service's own, chosen per caller, agent and session. */
  readonly tools?: readonly ToolFactory[];
  /** Groups of those tools that the agent itself switches on and off (`reset_tools`). */
  readonly toolGroups?: readonly ToolGroup[];
  /** Layers around the work of an agent, chosen likewise; they lie outside of the service's own. */
  readonly middleware?: readonly MiddlewareFactory[];
  /** Carries stop signals between processes, in place of Redis or the process itself. */
  readonly interruptBackend?: InterruptBackend;
  /** Holds the master keys of stored secrets, in place of the environment; keys that stand there as well still open what they sealed. */
  readonly keyProvider?: KeyProvider;
  /** Stream protocols beside the service's own. */
  readonly protocols?: readonly StreamProtocol[];
}

export const ENTITIES = [
  AgentEntity,
  CredentialEntity,
  TenantKeyEntity,
  SessionEntity,
  SessionLeaseEntity,
  RunEntity,
  SessionInputEntity,
  MessageEntity,
  ToolCallEntity,
  NodeEntity,
  ConfigVersionEntity,
  ModelCallEntity,
  UsageRollupEntity,
  ApprovalEntity,
  OffloadEntity,
];

const FEATURES: Type[] = [
  AgentsModule,
  CredentialsModule,
  ModelsModule,
  SessionsModule,
  RunsModule,
  HealthModule,
  ProtocolsModule,
  UsageModule,
  OffloadsModule,
];
for (const feature of FEATURES) Reflect.defineMetadata(AUDITED, true, feature);

/** What every room of the service stands on. */
@Global()
@Module({})
class FoundationModule {
  static forRoot(options: AerieOptions): DynamicModule {
    const types = [...BUILT_IN_CREDENTIAL_TYPES, ...(options.credentialTypes ?? [])];
    return {
      module: FoundationModule,
      providers: [
        { provide: Config, useFactory: () => options.config ?? loadConfig() },
        RouteTable,
        HttpListener,
        { provide: CredentialTypeRegistry, useFactory: () => new CredentialTypeRegistry(types) },
        Resources,
        ServiceState,
      ],
      exports: [Config, RouteTable, CredentialTypeRegistry, Resources, ServiceState],
    };
  }
}

/** The embeddable service. The shipped one is this with its defaults (`app.module.ts`). */
@Module({})
export class AerieModule implements OnModuleDestroy {
  constructor(
    private readonly state: ServiceState,
    private readonly config: Config,
  ) {}

  /** Hooks run from the outside in and wait for each other: before any of ours begins to wait for its work, the probes must know. */
  async onModuleDestroy(): Promise<void> {
    this.state.phase = 'draining';
    await delay(this.config.http.shutdown_delay_ms);
  }

  static forRoot(options: AerieOptions = {}): DynamicModule {
    return {
      module: AerieModule,
      imports: [
        FoundationModule.forRoot(options),
        loggingModule(),
        ScheduleModule.forRoot(),
        DatabaseModule.forRoot({ entities: ENTITIES, migrations: MIGRATIONS }),
        CryptoModule.forRoot(options.keyProvider),
        EgressModule,
        RedisModule,
        QueueModule,
        EventsModule,
        InterruptsModule.forRoot(options.interruptBackend),
        AuthModule.forRoot(options.authenticator),
        ToolsModule.forRoot({
          tools: options.tools ?? [],
          groups: options.toolGroups ?? [],
          middleware: options.middleware ?? [],
        }),
        CredentialsModule,
        ModelsModule,
        AgentsModule,
        SessionsModule,
        ApprovalsModule,
        RunsModule,
        ProtocolsModule.forRoot(options.protocols ?? []),
        HealthModule,
        UsageModule,
        OffloadsModule,
      ],
      exports: [CredentialsModule, ModelsModule, AgentsModule, SessionsModule, RunsModule, UsageModule],
      providers: [
        { provide: APP_FILTER, useClass: ErrorFilter },
        { provide: APP_PIPE, useFactory: validationPipe },
      ],
    };
  }
}
