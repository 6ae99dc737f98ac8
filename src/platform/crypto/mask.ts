const MASK = '[redacted]';

/** Fewer characters of a secret, at the end of a text, tell nothing and may be there by chance. */
const MIN_START = 4;

/**
 * A text without these secrets, in any of the spellings in which servers repeat what they were sent. Texts of servers are cut to a length:
 * one that ends within a secret loses what is there of it.
 */
export function maskSecrets(text: string, secrets: readonly unknown[]): string {
  // The longest first: a secret may be part of another.
  const all = secrets.flatMap(spellings).sort((a, b) => b.length - a.length);
  const masked = all.reduce((rest, secret) => rest.replaceAll(secret, MASK), text);
  const cut = Math.max(0, ...all.map((secret) => startAtEnd(masked, secret)));
  return cut === 0 ? masked : `${masked.slice(0, -cut)}${MASK}`;
}

/** With how many characters of the secret's start the text ends. */
function startAtEnd(text: string, secret: string): number {
  for (let length = Math.min(secret.length - 1, text.length); length >= MIN_START; length--) {
    if (text.endsWith(secret.slice(0, length))) return length;
  }
  return 0;
}

function spellings(secret: unknown): string[] {
  if (typeof secret !== 'string' || secret === '') return [];
  const json = JSON.stringify(secret).slice(1, -1);
  // Without its last digits, which depend on what follows.
  const base64 = Buffer.from(secret)
    .toString('base64')
    .replace(/.{0,2}={0,2}$/, '');
  const encoded = secret.isWellFormed() ? encodeURIComponent(secret) : secret;
  return [...new Set([secret, json, encoded, ...(base64.length >= 8 ? [base64] : [])])];
}
