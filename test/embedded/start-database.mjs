// Holds an embedded database open in a process of its own, run from the sources: prints how it came up, stops on stdin's end.
import { registerHooks } from 'node:module';

registerHooks({
  resolve: (specifier, context, next) => {
    const ours = /^\.{1,2}\/.*\.js$/.test(specifier) && context.parentURL?.endsWith('.ts');
    return next(ours ? specifier.replace(/\.js$/, '.ts') : specifier, context);
  },
});

const { startEmbeddedPostgres } = await import('../../src/platform/embedded/embedded-postgres.ts');
const database = await startEmbeddedPostgres({ dataDir: process.argv[2] });
console.log(JSON.stringify({ reused: database.reused, connectionString: database.connectionString }));
process.stdin.resume().once('end', () => void database.stop());
