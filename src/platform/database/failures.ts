/** The error code of PostgreSQL, or of the socket. */
export const codeOf = (error: unknown): string => (error as { code?: string } | null)?.code ?? '';

const AWAY = /^(08|25006|40001|40P01|53|57|58|ECONN|EPIPE|ETIMEDOUT|EHOST|ENET|ENOTFOUND|EAI_AGAIN|ENOENT$)/;
const AWAY_MESSAGE =
  /^Query read timeout|^Connection terminated|^Client has encountered a connection error|timeout exceeded when trying to connect|^Client was closed/;

/**
 * Whether the database was away or gave way to another statement: what was asked may be asked again. Whether it was carried out the first
 * time is not known: an answer may have been lost.
 */
export const isAway = (error: unknown): boolean =>
  AWAY.test(codeOf(error)) || (error instanceof Error && AWAY_MESSAGE.test(error.message));

/** The database will never take this (a data exception, a broken constraint, a limit): trying again would not end. */
export const isRefused = (error: unknown): boolean => /^(2[0-3]|54)/.test(codeOf(error)) || error instanceof RangeError;

export const isUniqueViolation = (error: unknown): boolean => codeOf(error) === '23505';

/** The id of a credential that was named and had gone by then (`hold_named_credentials`). */
export function missingCredential(error: unknown): string | undefined {
  const { constraint, detail } = (error ?? {}) as { constraint?: string; detail?: string };
  return codeOf(error) === '23503' && constraint === 'named_credential' ? detail : undefined;
}
