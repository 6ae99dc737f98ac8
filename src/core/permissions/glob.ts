import { fits } from './wildcard.js';

/**
 * Path globs: `*` and `?` within a segment, `**` for any number of segments, `[a-z]`, `[!a]`, `{a,b}`, `\` before what is meant as it stands.
 * Names that begin with a dot are not special, since a rule about a folder means all of it. A match takes time in proportion to pattern times
 * path, which no engine of regular expressions promises; that is why there is none here.
 */
type Unit = { any: true } | { star: true } | { char: string } | { negated: boolean; ranges: [string, string][] };
type Segment = '**' | Unit[];

const MAX_PATTERN = 1000;
const MAX_ALTERNATIVES = 64;
const MAX_CACHED = 500;

export type Glob = (path: string) => boolean;

const cache = new Map<string, Glob | null>();

/** Null for a pattern that is not understood (`!(…)` and its like, unclosed brackets) or too large. */
export function compileGlob(pattern: string): Glob | null {
  const known = cache.get(pattern);
  if (known !== undefined) return known;
  const glob = compile(pattern);
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(pattern, glob);
  return glob;
}

export function escapeGlob(path: string): string {
  return path.replace(/[\\*?[\]{}!+@(),]/g, '\\$&');
}

function compile(pattern: string): Glob | null {
  if (pattern.length > MAX_PATTERN) return null;
  const alternatives = expandBraces(pattern);
  if (alternatives === null) return null;
  const compiled = alternatives.map(segments);
  if (compiled.includes(null)) return null;
  return (path) => {
    const parts = path.split('/');
    return compiled.some(
      (it) =>
        it !== null &&
        fits(
          it,
          parts,
          (segment) => segment === '**',
          (segment, part) => segment !== '**' && segmentFits(segment, part),
        ),
    );
  };
}

function segmentFits(units: readonly Unit[], part: string): boolean {
  return fits(
    units,
    [...part],
    (unit) => 'star' in unit,
    (unit, char) => {
      if ('any' in unit) return true;
      if ('char' in unit) return unit.char === char;
      if ('star' in unit) return false;
      return unit.ranges.some(([low, high]) => low <= char && char <= high) !== unit.negated;
    },
  );
}

function segments(pattern: string): Segment[] | null {
  const result: Segment[] = [];
  for (const text of pattern.split('/')) {
    // Paths are compared in their normal form, so these would never fit.
    if (text === '.' || text === '..') return null;
    const units = text === '**' ? '**' : segmentUnits([...text]);
    if (units === null) return null;
    result.push(units);
  }
  return result;
}

function segmentUnits(chars: readonly string[]): Unit[] | null {
  const units: Unit[] = [];
  for (let i = 0; i < chars.length; i += 1) {
    const char = chars[i] as string;
    if ('*?+@!'.includes(char) && chars[i + 1] === '(') return null;
    if (char === '\\') {
      i += 1;
      if (i === chars.length) return null;
      units.push({ char: chars[i] as string });
    } else if (char === '*') units.push({ star: true });
    else if (char === '?') units.push({ any: true });
    else if (char === '[') {
      const end = readClass(chars, i, units);
      if (end === null) return null;
      i = end;
    } else units.push({ char });
  }
  return units;
}

/** The index of the closing bracket. */
function readClass(chars: readonly string[], start: number, units: Unit[]): number | null {
  let at = start + 1;
  const negated = chars[at] === '!' || chars[at] === '^';
  if (negated) at += 1;
  const ranges: [string, string][] = [];
  for (let first = true; at < chars.length; first = false) {
    if (chars[at] === ']' && !first) {
      units.push({ negated, ranges });
      return at;
    }
    if (chars[at] === '[' && ':=.'.includes(chars[at + 1] ?? ' ')) return null;
    if (chars[at] === '\\') at += 1;
    const low = chars[at];
    if (low === undefined) return null;
    at += 1;
    if (chars[at] !== '-' || chars[at + 1] === ']' || chars[at + 1] === undefined) {
      ranges.push([low, low]);
      continue;
    }
    at += 1;
    if (chars[at] === '\\') at += 1;
    const high = chars[at];
    if (high === undefined) return null;
    ranges.push([low, high]);
    at += 1;
  }
  return null;
}

/** The alternatives of all braces; null when they are unbalanced or too many. A brace without a comma stands for itself, as in a shell. */
function expandBraces(pattern: string): string[] | null {
  const done: string[] = [];
  const open = [pattern];
  for (let text = open.pop(); text !== undefined; text = open.pop()) {
    if (done.length + open.length >= MAX_ALTERNATIVES) return null;
    const brace = innermostBrace(text);
    if (brace === null) return null;
    if (brace === 'none') done.push(text);
    else {
      const [start, end, parts] = brace;
      const wrapped = parts.length === 1 ? [`\\{${parts[0]}\\}`] : parts;
      for (const part of wrapped) open.push(text.slice(0, start) + part + text.slice(end + 1));
    }
  }
  return done;
}

function innermostBrace(text: string): [start: number, end: number, parts: string[]] | 'none' | null {
  let start = -1;
  let commas: number[] = [];
  for (let i = 0; i < text.length; i += 1) {
    const char = text[i];
    if (char === '\\') i += 1;
    else if (char === '{') {
      start = i;
      commas = [];
    } else if (char === ',' && start >= 0) commas.push(i);
    else if (char === '}') {
      if (start < 0) return null;
      const bounds = [start, ...commas, i];
      return [start, i, bounds.slice(1).map((bound, index) => text.slice((bounds[index] as number) + 1, bound))];
    }
  }
  return start < 0 ? 'none' : null;
}
