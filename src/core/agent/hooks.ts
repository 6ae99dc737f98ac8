import type { AgentMiddleware, ReplyScope } from './middleware.js';
import type { Tool } from './tool.js';

type HookName = Exclude<keyof AgentMiddleware, 'name' | 'listTools'>;
type Hook<K extends HookName> = NonNullable<AgentMiddleware[K]>;

/** The hooks of a reply by their kind, so that one nobody uses costs nothing. */
export class Hooks {
  private made: ReplyScope | undefined;

  constructor(
    private readonly middleware: readonly AgentMiddleware[],
    private readonly makeScope: () => ReplyScope,
  ) {}

  get tools(): Tool[] {
    return this.middleware.flatMap((it) => it.listTools?.() ?? []);
  }

  get scope(): ReplyScope {
    return (this.made ??= this.makeScope());
  }

  /** Those that have the hook, the outermost first. */
  having<K extends HookName>(name: K): Hook<K>[] {
    if (this.middleware.length === 0) return [];
    return this.middleware.flatMap((it) => {
      const hook = it[name];
      return hook === undefined ? [] : [hook.bind(it) as Hook<K>];
    });
  }
}

/** Lays `hooks` around `core`: each gets what is inside of it as a function. */
export function onion<A extends unknown[], R, H>(
  hooks: readonly H[],
  core: (...args: A) => R,
  call: (hook: H, next: (...args: A) => R, args: A) => R,
): (...args: A) => R {
  return hooks.reduceRight<(...args: A) => R>(
    (next, hook) =>
      (...args) =>
        call(hook, next, args),
    core,
  );
}
