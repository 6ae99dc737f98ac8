/** Where two values differ first; null when they do not. */
export function difference(ours: unknown, theirs: unknown, path = ''): string | null {
  if (isObject(ours) && isObject(theirs)) {
    for (const key of new Set([...Object.keys(ours), ...Object.keys(theirs)])) {
      const found = difference(ours[key], theirs[key], `${path}.${key}`);
      if (found !== null) return found;
    }
    return null;
  }
  return ours === theirs ? null : `${path}: ${JSON.stringify(ours)} followed, ${JSON.stringify(theirs)} on record`;
}

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;
