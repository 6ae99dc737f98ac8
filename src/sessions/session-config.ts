import { invalid } from '../platform/http/errors.js';
import { MAX_METADATA_KEYS, MAX_NAME, type PatchSession, type SessionConfig } from './session.schema.js';

/** The configuration after a PATCH: absent fields stay, the marks are merged key by key. */
export function patched(config: SessionConfig, { metadata, ...patch }: PatchSession): SessionConfig {
  const changes = Object.fromEntries(Object.entries(patch).filter(([, value]) => value !== undefined));
  const marks = Object.entries({ ...config.metadata, ...metadata }).filter(
    (mark): mark is [string, string] => mark[1] !== null,
  );
  if (marks.length > MAX_METADATA_KEYS) throw invalid('metadata', `at most ${MAX_METADATA_KEYS} keys`);
  return { ...config, ...changes, metadata: Object.fromEntries(marks) };
}

const COPY = ' (fork)';

export function copyName(name: string): string {
  const room = MAX_NAME - COPY.length;
  // A cut must not leave half a surrogate pair.
  const kept = name.length <= room ? name : name.slice(0, room).replace(/[\ud800-\udbff]$/, '');
  return kept + COPY;
}
