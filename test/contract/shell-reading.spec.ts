import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { ShellParser } from '../../src/core/permissions/shell/shell-parser.js';
import { readScript } from '../../src/core/permissions/shell/shell-script.js';
import { loadShellParser } from '../../src/tools/shell/tree-sitter-shell-parser.js';

/**
 * Scripts that are taken to be read in full, held against Bash: it may run nothing and write nothing that was not read. There is no program to
 * be found and no slash in a script, so that all it can do is name commands and make files in its own directory.
 */
const HANDLER = `exec 9>&1; command_not_found_handle() { local IFS=$'\\001'; printf '%s\\002' "$*" >&9; }; eval "$SCRIPT"`;

const PIECES = [
  ...[
    'a',
    'b',
    '-c',
    '1',
    '2',
    'if',
    'then',
    'time',
    'in',
    'do',
    'esac',
    ' ',
    ' ',
    ' ',
    ' ',
    '\n',
    "'a'",
    '"b"',
    '$a',
    'a b',
  ],
  ...[
    '"',
    "'",
    '\\',
    '$',
    '{',
    '}',
    ',',
    '*',
    '?',
    '[',
    ']',
    '~',
    '!',
    '#',
    '&',
    '|',
    ';',
    '<',
    '>',
    '(',
    ')',
    '=',
    '%',
    '^',
    '@',
  ],
  ...['+', ':', '.', '&&', '||', '>&', '<&', '>|', '&>', '>>'],
];
const script = fc.array(fc.constantFrom(...PIECES), { minLength: 1, maxLength: 11 }).map((it) => `a${it.join('')}`);

let parser: ShellParser;
let directory: string;
beforeAll(async () => {
  parser = await loadShellParser();
  directory = mkdtempSync(join(tmpdir(), 'aerie-shell-'));
});
afterAll(() => rmSync(directory, { recursive: true }));

function runInBash(source: string): { commands: string[]; files: string[] } {
  const cwd = mkdtempSync(join(directory, 'run-'));
  const env = { PATH: '/nonexistent', SCRIPT: source };
  let output: string;
  try {
    output = execFileSync('/bin/bash', ['--norc', '-c', HANDLER], {
      cwd,
      env,
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 10_000,
    }).toString();
  } catch (error) {
    // A script that fails has run something before.
    output = String((error as { stdout?: Buffer }).stdout ?? '');
  }
  return { commands: output.split('\u0002').filter((it) => it !== ''), files: readdirSync(cwd) };
}

describe('a script that was read', () => {
  it('does in Bash what was read, and no more', () => {
    fc.assert(
      fc.property(script, (source) => {
        const { commands, redirects, hazards } = readScript(source, parser, '/ws');
        if (hazards.length > 0) return;
        const known = commands.map(({ words }) =>
          words.some((word) => word.value === null || word.tilde)
            ? null
            : words.map((word) => word.value).join('\u0001'),
        );
        const written = redirects.filter((it) => it.kind === 'write').map((it) => it.target.value);
        const run = runInBash(source);
        if (!known.includes(null)) expect(known).toEqual(expect.arrayContaining(run.commands));
        if (!written.includes(null)) expect(written).toEqual(expect.arrayContaining(run.files));
      }),
      // The same scripts every time: whoever looks for others changes the seed.
      { numRuns: 1500, seed: 20261121 },
    );
  });
});
