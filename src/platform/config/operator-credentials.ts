import { readFileSync } from 'node:fs';
import { parse, YAMLParseError } from 'yaml';
import { z } from 'zod';
import { ConfigError } from './config-error.js';

/** A credential that the operator gives to all tenants, or to those named. `fields` are those of its type, from the environment filled in. */
export interface OperatorCredentialEntry {
  readonly name: string;
  readonly type: string;
  readonly tenants: readonly string[] | null;
  readonly fields: Readonly<Record<string, unknown>>;
  /** Where it was written, for messages. */
  readonly source: string;
}

interface Sources {
  readonly AERIE_CREDENTIALS?: string;
  readonly AERIE_CREDENTIALS_FILE?: string;
}

const Entry = z.looseObject({
  name: z.string().trim().min(1).max(256),
  type: z.string().min(1).max(128),
  tenants: z.array(z.string().min(1).max(256)).min(1).optional(),
});

const Reference = z.strictObject({ env: z.string().min(1) });

/**
 * Reads the operator's credentials from a variable (JSON) and a file (JSON or YAML). A field that is `{"env": "NAME"}` has the value of that
 * variable. Faults name the entry and the field, never a value: nothing of what is written there is repeated.
 */
export function readOperatorCredentials(
  sources: Sources,
  environment: Readonly<Record<string, string | undefined>>,
): OperatorCredentialEntry[] {
  const { AERIE_CREDENTIALS: text, AERIE_CREDENTIALS_FILE: path } = sources;
  const entries = [
    ...(text === undefined ? [] : entriesOf('AERIE_CREDENTIALS', parseJson(text), environment)),
    ...(path === undefined ? [] : entriesOf('AERIE_CREDENTIALS_FILE', parseFile(path), environment)),
  ];
  const names = new Set<string>();
  for (const { name, source } of entries) {
    if (names.has(name)) throw new ConfigError(`${source}: the name ${JSON.stringify(name)} is given twice`);
    names.add(name);
  }
  return entries;
}

function entriesOf(
  source: string,
  value: unknown,
  environment: Readonly<Record<string, string | undefined>>,
): OperatorCredentialEntry[] {
  if (!Array.isArray(value)) throw new ConfigError(`${source}: must be a list of credentials`);
  return value.map((item: unknown, index) => {
    const parsed = Entry.safeParse(item);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      const at = [`[${index}]`, ...(issue?.path ?? []).map(String)].join('.');
      throw new ConfigError(`${source}: ${at}: ${issue?.message ?? 'is not valid'}`);
    }
    const { name, type, tenants, ...rest } = parsed.data;
    const fields = Object.entries(rest).map(([field, given]) => {
      const reference = Reference.safeParse(given);
      if (!reference.success) return [field, given] as const;
      const filled = environment[reference.data.env];
      if (filled !== undefined) return [field, filled] as const;
      throw new ConfigError(
        `${source}: ${JSON.stringify(name)}: ${field}: the variable ${reference.data.env} is not set`,
      );
    });
    return { name, type, tenants: tenants ?? null, fields: Object.fromEntries(fields), source };
  });
}

/** The messages of parsers repeat what they could not read. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new ConfigError('AERIE_CREDENTIALS: is not JSON');
  }
}

/** JSON is YAML. */
function parseFile(path: string): unknown {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`AERIE_CREDENTIALS_FILE: ${path} cannot be read (${code})`);
  }
  try {
    return parse(text, { logLevel: 'error' });
  } catch (error) {
    const line = error instanceof YAMLParseError ? error.linePos?.[0].line : undefined;
    throw new ConfigError(`AERIE_CREDENTIALS_FILE: is not YAML${line === undefined ? '' : ` (line ${line})`}`);
  }
}
