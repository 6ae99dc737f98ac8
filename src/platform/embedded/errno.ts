/**
 * The `code` of a system, database or command error. Not by `instanceof`: an error of node's own may come from another
 * realm than this module.
 */
export function errorCode(error: unknown): string | number | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' || typeof error.code === 'number' ? error.code : undefined;
}

export function hasCode(error: unknown, ...codes: (string | number)[]): boolean {
  const code = errorCode(error);
  return code !== undefined && codes.includes(code);
}

export function errorMessage(error: unknown): string {
  const known = typeof error === 'object' && error !== null && 'message' in error;
  return String(known ? error.message : error);
}
