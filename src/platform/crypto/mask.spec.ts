import { expect, it } from '@jest/globals';
import { maskSecrets } from './mask.js';

const SECRET = 'sk-"canary"/+1';

it.each([
  ['as it is', SECRET],
  ['in JSON', JSON.stringify({ key: SECRET })],
  ['in a URL', `?key=${encodeURIComponent(SECRET)}&x`],
  ['in base64', Buffer.from(SECRET).toString('base64')],
  ['at the start of something in base64', Buffer.from(`${SECRET}:and more`).toString('base64')],
  ['twice', `${SECRET} ${SECRET}`],
])('a secret is masked %s', (_name, text) => {
  const masked = maskSecrets(`before ${text} after`, ['other', SECRET, undefined, '', 7]);
  expect(masked).toMatch(/^before .*\[redacted\].* after$/);
  expect(masked).not.toContain('canary');
  expect(masked).not.toContain(Buffer.from('canary').toString('base64').slice(0, 6));
  expect(masked).not.toContain(Buffer.from(SECRET).toString('base64').slice(0, 12));
});

it('leaves a text without them alone', () => {
  expect(maskSecrets('HTTP 500: nothing', [SECRET])).toBe('HTTP 500: nothing');
});

it('masks what is left of a secret where the text was cut', () => {
  const text = `HTTP 401: incorrect key ${SECRET}`;
  for (let left = 4; left < SECRET.length; left++) {
    const cut = text.slice(0, text.length - SECRET.length + left);
    expect(maskSecrets(cut, [SECRET])).toBe('HTTP 401: incorrect key [redacted]');
  }
});

it('masks a secret that begins with another one as a whole', () => {
  expect(maskSecrets('given: sk-short-and-long', ['sk-short', 'sk-short-and-long'])).toBe('given: [redacted]');
});
