/**
 * Whether `items` fit `pattern`, in which an element for which `isStar` holds stands for any run of items. Time is bounded by the product
 * of the lengths: only the last star is ever tried again.
 */
export function fits<P, T>(
  pattern: readonly P[],
  items: readonly T[],
  isStar: (element: P) => boolean,
  matches: (element: P, item: T) => boolean,
): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  let index = 0;
  while (index < items.length) {
    const element = pattern[at];
    if (at < pattern.length && isStar(element as P)) {
      star = at;
      resume = index;
      at += 1;
    } else if (at < pattern.length && matches(element as P, items[index] as T)) {
      at += 1;
      index += 1;
    } else if (star >= 0) {
      resume += 1;
      index = resume;
      at = star + 1;
    } else {
      return false;
    }
  }
  while (at < pattern.length && isStar(pattern[at] as P)) at += 1;
  return at === pattern.length;
}

const STAR = Symbol('any run');
type Element = string | typeof STAR;

/** `*` is any run of characters, `\*` a star, `\\` a backslash. */
function elements(pattern: string): Element[] {
  const result: Element[] = [];
  for (let i = 0; i < pattern.length; i += 1) {
    const char = pattern.charAt(i);
    const next = pattern.charAt(i + 1);
    if (char === '\\' && (next === '*' || next === '\\')) {
      result.push(next);
      i += 1;
    } else {
      result.push(char === '*' ? STAR : char);
    }
  }
  return result;
}

export function hasWildcard(pattern: string): boolean {
  return elements(pattern).includes(STAR);
}

/** Without its escapes: what the pattern says when it has no wildcard. */
export function literalOf(pattern: string): string {
  return elements(pattern)
    .map((element) => (element === STAR ? '*' : element))
    .join('');
}

export function escapeWildcards(text: string): string {
  return text.replace(/[\\*]/g, '\\$&');
}

/** A pattern that ends in ` *` also fits the text before the blank: `git *` fits `git`. */
export function wildcardFits(pattern: string, text: string): boolean {
  const parts = elements(pattern);
  if (runsFit(literals(parts), text)) return true;
  return parts.at(-1) === STAR && parts.at(-2) === ' ' && runsFit(literals(parts.slice(0, -2)), text);
}

/** What stands between the stars. */
function literals(parts: readonly Element[]): string[] {
  const runs = [''];
  for (const part of parts) {
    if (part === STAR) runs.push('');
    else runs[runs.length - 1] += part;
  }
  return runs;
}

function runsFit(runs: readonly string[], text: string): boolean {
  const [first = '', ...rest] = runs;
  const last = rest.pop();
  if (last === undefined) return text === first;
  if (!text.startsWith(first) || !text.endsWith(last) || text.length < first.length + last.length) return false;
  let at = first.length;
  const end = text.length - last.length;
  for (const run of rest) {
    const found = text.indexOf(run, at);
    if (found < 0 || found + run.length > end) return false;
    at = found + run.length;
  }
  return true;
}
