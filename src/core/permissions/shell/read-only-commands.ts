/**
 * Programs that change nothing, with the arguments by which they would. Anything not named here is not known to be harmless. Names that a
 * GNU program takes abbreviated (`--out` for `--output`) count as well, and a letter counts anywhere in a cluster of letters.
 */
export interface ReadOnlySpec {
  /** Long options, without dashes, by which it writes, runs something or reads a list of files. */
  readonly long?: readonly string[];
  /** Letters of such options. */
  readonly short?: string;
  /** Arguments that are refused wherever they stand, e.g. the actions of `find`. */
  readonly words?: readonly string[];
  /** More arguments than this that are no options would be written to. */
  readonly operands?: number;
  /** All its arguments are among these. */
  readonly only?: readonly string[];
  /** Without an argument it does something else. */
  readonly needsOne?: true;
  /** Its arguments are text, not paths. */
  readonly text?: true;
  /** Refused when it fits an argument; linear patterns only. */
  readonly refuse?: RegExp;
}

const ANY: ReadOnlySpec = {};
const TEXT: ReadOnlySpec = { text: true };
const NOTHING: ReadOnlySpec = { only: [] };
const VERSION: ReadOnlySpec = { only: ['--version'], needsOne: true };

export const READ_ONLY: ReadonlyMap<string, ReadOnlySpec> = new Map<string, ReadOnlySpec>([
  ...['ls', 'cat', 'head', 'tail', 'nl', 'tac', 'rev', 'fold', 'cut', 'paste', 'join', 'comm', 'cmp'].map(plain),
  ...['stat', 'realpath', 'readlink', 'df', 'od', 'hexdump', 'strings', 'cksum', 'column', 'expand', 'fmt'].map(plain),
  ...['pwd', 'whoami', 'id', 'groups', 'uptime', 'nproc', 'arch', 'tty'].map((name) => [name, NOTHING] as const),
  ...['echo', 'true', 'false', 'seq', 'basename', 'dirname', 'tr', 'expr', 'uname', 'which', 'type', 'free'].map(
    (name) => [name, TEXT] as const,
  ),
  ...['md5sum', 'sha1sum', 'sha256sum', 'sha512sum', 'b2sum'].map(
    (name) => [name, { long: ['check'], short: 'c' }] as const,
  ),
  ...[
    'npm',
    'npx',
    'pnpm',
    'yarn',
    'tsc',
    'python',
    'python3',
    'pip',
    'go',
    'cargo',
    'rustc',
    'java',
    'ruby',
    'php',
  ].map((name) => [name, VERSION] as const),
  ['node', { only: ['--version', '-v'], needsOne: true }],
  ['cd', { operands: 1 }],
  ['printf', { text: true, short: 'v' }],
  ['sleep', TEXT],
  ['test', { words: ['-v', '-R'] }],
  ['wc', { long: ['files0-from'] }],
  ['du', { long: ['files0-from', 'exclude-from'], short: 'X' }],
  [
    'sort',
    { long: ['output', 'temporary-directory', 'compress-program', 'files0-from', 'random-source'], short: 'oT' },
  ],
  ['uniq', { operands: 1 }],
  ['xxd', { operands: 1, long: ['revert'], short: 'r' }],
  ['diff', { long: ['output', 'from-file', 'to-file', 'exclude-from'], short: 'X' }],
  ['file', { long: ['compile', 'files-from', 'magic-file'], short: 'Cfm' }],
  ['date', { text: true, long: ['set', 'file'], short: 'sf', refuse: /^[^+-]/ }],
  ['hostname', NOTHING],
  ['ps', { text: true, refuse: /^[^-]/ }],
  ['grep', { long: ['file', 'exclude-from'], short: 'f' }],
  ['egrep', { long: ['file', 'exclude-from'], short: 'f' }],
  ['fgrep', { long: ['file', 'exclude-from'], short: 'f' }],
  [
    'rg',
    {
      long: [
        'pre',
        'pre-glob',
        'hostname-bin',
        'file',
        'search-zip',
        'hidden',
        'no-ignore',
        'unrestricted',
        'ignore-file',
      ],
      short: 'fzu.',
    },
  ],
  [
    'find',
    {
      words: [
        '-exec',
        '-execdir',
        '-ok',
        '-okdir',
        '-delete',
        '-fprint',
        '-fprint0',
        '-fprintf',
        '-fls',
        '-files0-from',
      ],
    },
  ],
  ['tree', { long: ['fromfile', 'fromtabfile', 'info', 'infofile'], short: 'oR' }],
  [
    'jq',
    {
      long: ['from-file', 'rawfile', 'slurpfile', 'library-path'],
      short: 'fL',
      refuse: /env|ENV|import|include|input_/,
    },
  ],
]);

function plain(name: string): readonly [string, ReadOnlySpec] {
  return [name, ANY];
}

/** Options of `git` that make it run a program or write, for every subcommand. */
const GIT_LONG = [
  'output',
  'ext-diff',
  'textconv',
  'open-files-in-pager',
  'upload-pack',
  'exec',
  'no-index',
  'contents',
];
const GIT: ReadOnlySpec = { long: GIT_LONG, short: 'O' };
const LISTING = ['-a', '-r', '-v', '-vv', '--all', '--list', '--remotes', '--show-current', '-l'];

/** By subcommand, which must follow `git` at once: options before it change the configuration, the repository or the programs. */
export const READ_ONLY_GIT: ReadonlyMap<string, ReadOnlySpec> = new Map<string, ReadOnlySpec>([
  ...[
    'status',
    'log',
    'show',
    'diff',
    'shortlog',
    'describe',
    'rev-parse',
    'rev-list',
    'ls-files',
    'ls-tree',
    'merge-base',
  ].map((name) => [name, GIT] as const),
  ...[
    'blame',
    'annotate',
    'whatchanged',
    'diff-tree',
    'name-rev',
    'count-objects',
    'cherry',
    'for-each-ref',
    'show-ref',
  ].map((name) => [name, GIT] as const),
  ['grep', { long: [...GIT_LONG, 'file'], short: 'Of' }],
  ['branch', { only: LISTING }],
  ['tag', { only: ['-l', '--list', '-n'] }],
  ['remote', { only: ['-v', '--verbose'] }],
  ['stash', { only: ['list'], needsOne: true }],
  ['worktree', { only: ['list'], needsOne: true }],
  ['version', NOTHING],
  ['--version', NOTHING],
]);
