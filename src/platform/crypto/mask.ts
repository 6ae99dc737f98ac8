const MASK = '[redacted]';

/** A text without these secrets, in any of the spellings in which servers repeat what they were sent. */
export function maskSecrets(text: string, secrets: readonly unknown[]): string {
  return secrets.flatMap(spellings).reduce((masked, secret) => masked.replaceAll(secret, MASK), text);
}

function spellings(secret: unknown): string[] {
  if (typeof secret !== 'string' || secret === '') return [];
  const json = JSON.stringify(secret).slice(1, -1);
  // Without its last digits, which depend on what follows.
  const base64 = Buffer.from(secret)
    .toString('base64')
    .replace(/.{0,2}={0,2}$/, '');
  const encoded = secret.isWellFormed() ? encodeURIComponent(secret) : secret;
  const all = [secret, json, encoded, ...(base64.length >= 8 ? [base64] : [])];
  return [...new Set(all)].sort((a, b) => b.length - a.length);
}
