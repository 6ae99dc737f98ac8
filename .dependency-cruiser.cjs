/**
 * Who may import whom (docs/architecture.md): core ← features ← protocols ← aerie.module; platform serves everything but core.
 * `npm run lint:deps` checks every import, type-only ones included.
 */

/** Every folder of src but the core, the infrastructure and the programs beside the service. */
const FEATURE = '^src/(?!(?:core|platform|cli)/)([^/]+)/';
const SPEC = '[.]spec[.]ts$';
const TEST_ONLY = `${SPEC}|^src/(core|runs)/testing/|^test/`;
const npm = (...names) => `^node_modules/(@types/)?(${names.join('|')})/`;

/** What one feature may use of another: what its Nest module exports, its wire types, and the ports named here. */
const PUBLISHED = [
  '[.](service|store|schema|module)[.]ts$',
  '^src/auth/(authenticator|endpoint[.]decorator|policy|principal)[.]ts$',
  '^src/events/(event-log|follow|frames)[.]ts$',
  '^src/interrupts/interrupt-backend[.]ts$',
  '^src/credentials/types/credential-type[.]ts$',
];

module.exports = {
  forbidden: [
    {
      name: 'no-circles',
      comment: 'Files that need each other are one file, or lack a third one. Type-only circles count too.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    {
      name: 'no-orphans',
      comment: 'Nothing imports this file and it imports nothing: dead, or not wired up.',
      severity: 'error',
      from: { orphan: true, pathNot: [TEST_ONLY, '^src/(main|migrate|openapi|rotate)[.]ts$', '^src/cli/'] },
      to: {},
    },
    {
      name: 'not-to-unresolvable',
      severity: 'error',
      from: {},
      to: { couldNotResolve: true },
    },
    {
      name: 'no-undeclared-package',
      comment: 'Not in package.json: it would go away with whoever brought it.',
      severity: 'error',
      from: {},
      to: { dependencyTypes: ['npm-no-pkg', 'npm-unknown'] },
    },
    {
      name: 'no-dev-dependency-at-run-time',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TEST_ONLY },
      to: { dependencyTypes: ['npm-dev'], dependencyTypesNot: ['npm'], pathNot: '^node_modules/@types/' },
    },
    {
      name: 'no-test-code-at-run-time',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: TEST_ONLY },
      to: { path: TEST_ONLY },
    },
    {
      name: 'core-is-plain',
      comment:
        'The core imports zod, node builtins and itself; nothing of Nest, the database, the bus or the listener.',
      severity: 'error',
      from: { path: '^src/core/', pathNot: TEST_ONLY },
      to: { pathNot: ['^src/core/', npm('zod')], dependencyTypesNot: ['core'] },
    },
    {
      name: 'core-tests-are-plain',
      severity: 'error',
      from: { path: '^src/core/(testing/|.*[.]spec[.]ts$)' },
      to: { pathNot: ['^src/core/', npm('zod', 'fast-check', '@jest/globals')], dependencyTypesNot: ['core'] },
    },
    {
      name: 'platform-knows-no-feature',
      comment: 'Infrastructure knows nothing of agents; it has no use for the core either.',
      severity: 'error',
      from: { path: '^src/platform/' },
      to: { path: '^(src|migrations)/', pathNot: '^src/platform/' },
    },
    {
      name: 'features-by-their-published-files',
      comment:
        'A feature reaches another only through the service or store its Nest module exports, wire types and ports.',
      severity: 'error',
      from: { path: FEATURE, pathNot: [SPEC, '[.]entity[.]ts$', '^src/credentials/types/', '^src/runs/'] },
      to: { path: FEATURE, pathNot: ['^src/$1/', ...PUBLISHED] },
    },
    {
      name: 'runs-by-published-files-and-transcript-rows',
      comment:
        'As above. Runs write what sessions read (transcript-rows, stored-state) and judge by what they hold (session-permissions): one file each for both.',
      severity: 'error',
      from: { path: '^src/runs/', pathNot: [SPEC, '[.]entity[.]ts$'] },
      to: {
        path: FEATURE,
        pathNot: [
          '^src/runs/',
          ...PUBLISHED,
          '^src/sessions/(transcript-rows|session-(permissions|views)|stored-state)[.]ts$',
        ],
      },
    },
    {
      name: 'entities-see-entities',
      comment: 'A foreign key names the entity of the other table; the JSON columns name their types.',
      severity: 'error',
      from: { path: `${FEATURE}.*[.]entity[.]ts$` },
      to: {
        path: FEATURE,
        pathNot: ['^src/$1/', '[.](entity|schema)[.]ts$', '^src/sessions/transcript-rows[.]ts$'],
      },
    },
    {
      name: 'credential-types-see-model-adapters',
      comment: 'A credential type makes models out of the adapters in src/models/ai-sdk, which know no feature.',
      severity: 'error',
      from: { path: '^src/credentials/types/', pathNot: SPEC },
      to: { path: FEATURE, pathNot: ['^src/credentials/types/', '^src/models/ai-sdk/'] },
    },
    {
      name: 'model-adapters-see-only-the-core',
      severity: 'error',
      from: { path: '^src/models/ai-sdk/' },
      to: { path: '^src/', pathNot: ['^src/models/ai-sdk/', '^src/core/'] },
    },
    {
      name: 'nothing-sees-a-protocol',
      comment: 'Protocols are views; only the composition of the application knows which there are.',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: ['^src/protocols/', '^src/aerie[.]module[.]ts$'] },
      to: { path: '^src/protocols/' },
    },
    {
      name: 'protocols-see-little',
      severity: 'error',
      from: { path: '^src/protocols/' },
      to: {
        path: '^(src|migrations)/',
        pathNot: '^src/(protocols|sessions|runs|interrupts|agents|events|auth|platform|core)/',
      },
    },
    {
      name: 'protocols-do-not-see-each-other',
      severity: 'error',
      from: { path: '^src/protocols/([^/]+)/' },
      to: { path: '^src/protocols/[^/]+/', pathNot: '^src/protocols/$1/' },
    },
    {
      name: 'protocol-port-sees-no-protocol',
      comment: 'Only the module lists the protocols.',
      severity: 'error',
      from: { path: '^src/protocols/[^/]+[.]ts$', pathNot: [SPEC, '^src/protocols/protocols[.]module[.]ts$'] },
      to: { path: '^src/protocols/[^/]+/' },
    },
    {
      name: 'features-do-not-see-the-composition',
      severity: 'error',
      from: { path: '^src/[^/]+/', pathNot: '^src/cli/' },
      to: { path: '^src/[^/]+[.]ts$' },
    },
    {
      name: 'typeorm-in-its-places',
      severity: 'error',
      from: {
        path: '^(src|migrations)/',
        pathNot: [SPEC, '[.]entity[.]ts$', '[.]typeorm-store[.]ts$', '^src/platform/database/', '^migrations/'],
      },
      to: { path: npm('typeorm') },
    },
    {
      name: 'pg-in-its-places',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: [SPEC, '^src/platform/(database|embedded)/'] },
      to: { path: npm('pg') },
    },
    {
      name: 'ioredis-in-its-places',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: [SPEC, '^src/platform/redis/', '/redis-[^/]+[.]ts$'] },
      to: { path: npm('ioredis') },
    },
    {
      name: 'bullmq-in-its-places',
      severity: 'error',
      from: { path: '^(src|migrations)/', pathNot: [SPEC, '^src/platform/queue/', '[.]processor[.]ts$'] },
      to: { path: npm('bullmq') },
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '^dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'require', 'node', 'default', 'types'],
      mainFields: ['module', 'main', 'types'],
    },
  },
};
