import { randomBytes } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { EnvelopeError, Vault } from './envelope.js';
import { KeyRing } from './keyring.js';

const [one, two] = [randomBytes(32), randomBytes(32)];

describe('Vault', () => {
  it('opens what it sealed, and shows nothing of it', () => {
    const vault = new Vault(new KeyRing([one]));
    const envelope = vault.seal({ api_key: 'sk-canary' }, 't|1');
    expect(JSON.stringify(envelope)).not.toContain('canary');
    expect(vault.open(envelope, 't|1')).toEqual({ api_key: 'sk-canary' });
  });

  it('still opens with a key that is no longer the first', () => {
    const envelope = new Vault(new KeyRing([one])).seal('x', 'c');
    expect(new Vault(new KeyRing([two, one])).open(envelope, 'c')).toBe('x');
  });

  it.each([
    ['another row', 'c2', {}],
    ['another key name', 'c', { kid: new KeyRing([two]).active.id }],
    ['swapped data', 'c', { data: new Vault(new KeyRing([one])).seal('y', 'c').data }],
    ['truncated data', 'c', { data: 'AAAA' }],
  ])('refuses an envelope moved to %s', (_name, context, change) => {
    const ring = new KeyRing([one, two]);
    const envelope = { ...new Vault(ring).seal('x', 'c'), ...change };
    expect(() => new Vault(ring).open(envelope, context)).toThrow(EnvelopeError);
  });

  it('refuses an envelope whose key left the ring', () => {
    const envelope = new Vault(new KeyRing([one])).seal('x', 'c');
    expect(() => new Vault(new KeyRing([two])).open(envelope, 'c')).toThrow(/no key/);
  });
});
