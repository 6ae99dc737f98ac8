import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadConfig } from './config.js';

const CANARY = 'canary';
let folder: string;
let count = 0;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'aerie-operator-'));
});
afterAll(() => rm(folder, { recursive: true }));

async function file(text: string): Promise<string> {
  const path = join(folder, `${++count}.yaml`);
  await writeFile(path, text);
  return path;
}

const entry = { name: 'house', type: 'openai_credential', api_key: { env: 'HOUSE_KEY' } };

describe('credentials of the operator', () => {
  it('come from a variable and a file, their fields from the environment', async () => {
    const yaml = [
      '- name: west',
      '  type: openai_credential',
      '  tenants: [a, b]',
      '  api_key: { env: WEST_KEY }',
      '  base_url: http://10.0.0.1/v1',
    ];
    const { operator_credentials } = loadConfig({
      AERIE_CREDENTIALS: JSON.stringify([entry]),
      AERIE_CREDENTIALS_FILE: await file(yaml.join('\n')),
      HOUSE_KEY: 'sk-house',
      WEST_KEY: 'sk-west',
    });
    const type = 'openai_credential';
    expect(operator_credentials).toEqual([
      { name: 'house', type, tenants: null, fields: { api_key: 'sk-house' }, source: 'AERIE_CREDENTIALS' },
      {
        name: 'west',
        type,
        tenants: ['a', 'b'],
        fields: { api_key: 'sk-west', base_url: 'http://10.0.0.1/v1' },
        source: 'AERIE_CREDENTIALS_FILE',
      },
    ]);
  });

  it('may be a JSON file, or none', async () => {
    const AERIE_CREDENTIALS_FILE = await file(JSON.stringify([entry]));
    expect(loadConfig({ AERIE_CREDENTIALS_FILE, HOUSE_KEY: 'k' }).operator_credentials).toHaveLength(1);
    expect(loadConfig({}).operator_credentials).toEqual([]);
    expect(loadConfig({ AERIE_CREDENTIALS: '[]' }).operator_credentials).toEqual([]);
  });

  it('only take a value from the environment by exactly a reference', () => {
    const odd = { ...entry, api_key: { env: 'HOUSE_KEY', or: 'else' } };
    const { operator_credentials } = loadConfig({ AERIE_CREDENTIALS: JSON.stringify([odd]), HOUSE_KEY: 'k' });
    expect(operator_credentials[0]?.fields).toEqual({ api_key: odd.api_key });
  });

  it.each([
    ['no JSON', `[{"name": "${CANARY}`, 'AERIE_CREDENTIALS: is not JSON'],
    ['no list', `{"${CANARY}": "${CANARY}"}`, 'AERIE_CREDENTIALS: must be a list of credentials'],
    ['no credential', `["${CANARY}"]`, 'AERIE_CREDENTIALS: [0]: '],
    ['no name', `[{"type": "t", "api_key": "${CANARY}"}]`, 'AERIE_CREDENTIALS: [0].name: '],
    ['no type', `[{"name": "n", "api_key": "${CANARY}"}]`, 'AERIE_CREDENTIALS: [0].type: '],
    ['no tenants', `[{"name": "n", "type": "t", "tenants": []}]`, 'AERIE_CREDENTIALS: [0].tenants: '],
    [
      'an unset variable',
      `[{"name": "n", "type": "t", "api_key": {"env": "GONE"}, "x": "${CANARY}"}]`,
      'AERIE_CREDENTIALS: "n": api_key: the variable GONE is not set',
    ],
    [
      'an empty variable',
      `[{"name": "n", "type": "t", "api_key": {"env": "EMPTY"}}]`,
      'AERIE_CREDENTIALS: "n": api_key: the variable EMPTY is not set',
    ],
    [
      'a name twice',
      `[{"name": "n", "type": "t"}, {"name": "n", "type": "u"}]`,
      'AERIE_CREDENTIALS: the name "n" is given twice',
    ],
  ])('that are %s stop the start, and no value is told', (_name, text, fault) => {
    const start = () => loadConfig({ AERIE_CREDENTIALS: text, EMPTY: '' });
    expect(start).toThrow(expect.objectContaining({ name: 'ConfigError', message: expect.stringContaining(fault) }));
    expect(start).not.toThrow(CANARY);
  });

  it('that stand in no file, or in none that can be read, stop it too', async () => {
    expect(() => loadConfig({ AERIE_CREDENTIALS_FILE: join(folder, 'absent') })).toThrow(
      /^AERIE_CREDENTIALS_FILE: .* cannot be read \(ENOENT\)$/,
    );
    const AERIE_CREDENTIALS_FILE = await file(`- name: a\n  type: "${CANARY}\n- x`);
    expect(() => loadConfig({ AERIE_CREDENTIALS_FILE })).toThrow(/^AERIE_CREDENTIALS_FILE: is not YAML \(line \d+\)$/);
  });

  it('of which a name stands in both places stop it', async () => {
    const AERIE_CREDENTIALS = JSON.stringify([entry]);
    const AERIE_CREDENTIALS_FILE = await file(AERIE_CREDENTIALS);
    expect(() => loadConfig({ AERIE_CREDENTIALS, AERIE_CREDENTIALS_FILE, HOUSE_KEY: 'k' })).toThrow('given twice');
  });
});

it('keys are given in one place only', () => {
  const AERIE_ENCRYPTION_KEYS = Buffer.alloc(32).toString('base64');
  expect(() => loadConfig({ AERIE_ENCRYPTION_KEYS, AERIE_ENCRYPTION_KEYS_FILE: '/run/keys' })).toThrow(
    /^AERIE_ENCRYPTION_KEYS_FILE: /,
  );
});
