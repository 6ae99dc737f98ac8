import { registerHooks } from 'node:module';

type Resolve = NonNullable<Parameters<typeof registerHooks>[0]['resolve']>;

// Jest loads this file outside its module system, where `./x.js` is not mapped to `x.ts`.
const resolve: Resolve = (specifier, context, next) => {
  const ours = /^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts');
  return next(ours ? specifier.replace(/\.js$/, '.ts') : specifier, context);
};

export default async function setup(): Promise<void> {
  const hooks = registerHooks({ resolve });
  try {
    const { startServices } = await import('./services.js');
    globalThis.stopTestServices = await startServices();
  } finally {
    hooks.deregister();
  }
}
