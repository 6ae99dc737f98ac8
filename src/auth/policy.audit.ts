import { Injectable, type OnModuleInit, type Type } from '@nestjs/common';
import { PATH_METADATA } from '@nestjs/common/internal';
import { MetadataScanner, ModulesContainer, Reflector } from '@nestjs/core';
import { ROUTE_POLICY } from './policy.js';

/** A route of the service has no policy; the start fails naming it. */
export class MissingPolicyError extends Error {
  override readonly name = 'MissingPolicyError';
}

/** Marks the modules whose routes must carry a policy: ours. A host application's own routes are closed by the guard instead. */
export const AUDITED = 'aerie:audited';

@Injectable()
export class PolicyAudit implements OnModuleInit {
  constructor(
    private readonly modules: ModulesContainer,
    private readonly scanner: MetadataScanner,
    private readonly reflector: Reflector,
  ) {}

  onModuleInit(): void {
    const open = [...this.modules.values()]
      .filter((module) => Reflect.getMetadata(AUDITED, module.metatype) === true)
      .flatMap((module) => [...module.controllers.values()])
      .flatMap((wrapper) => this.unguarded(wrapper.metatype as Type));
    if (open.length > 0) throw new MissingPolicyError(`routes without a policy: ${open.join(', ')}`);
  }

  private unguarded(controller: Type): string[] {
    const prototype = controller.prototype as Record<string, unknown>;
    return this.scanner
      .getAllMethodNames(prototype)
      .filter((name) => {
        const handler = prototype[name] as () => unknown;
        return (
          Reflect.hasMetadata(PATH_METADATA, handler) &&
          this.reflector.getAllAndOverride(ROUTE_POLICY, [handler, controller]) === undefined
        );
      })
      .map((name) => `${controller.name}.${name}`);
  }
}
