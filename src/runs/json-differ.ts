import { isDeepStrictEqual } from 'node:util';
import type { Operation } from 'rfc6902';
import { diffAny } from 'rfc6902/diff.js';
import { Pointer } from 'rfc6902/pointer.js';

/**
 * The JSON Patch from one JSON value to another. Lists are compared here: the package looks for the shortest patch, which takes memory with
 * the cube of their length. Elements are the same when they have the same `id`; without ids, by what both lists begin and end with.
 */
export function jsonDiff(before: unknown, after: unknown): Operation[] {
  return diff(before, after, new Pointer());
}

function diff(before: unknown, after: unknown, at: Pointer): Operation[] {
  if (before === after) return [];
  if (!Array.isArray(before) || !Array.isArray(after)) return diffAny(before, after, at, diff);
  return diffById(before, after, at) ?? diffByPlace(before, after, at);
}

function diffById(before: readonly unknown[], after: readonly unknown[], at: Pointer): Operation[] | null {
  const [old, now] = [idsOf(before), idsOf(after)];
  if (old === null || now === null) return null;
  const keptBefore = [...old.keys()].filter((id) => now.has(id));
  const keptAfter = [...now.keys()].filter((id) => old.has(id));
  // A patch for what changed places would be longer than the list.
  if (keptBefore.some((id, index) => id !== keptAfter[index])) return null;
  const operations: Operation[] = [];
  [...old.keys()].forEach((id, index) => {
    if (!now.has(id)) operations.unshift({ op: 'remove', path: at.add(String(index)).toString() });
  });
  after.forEach((value, index) => {
    const id = (value as { id: string }).id;
    const place = at.add(String(index));
    if (old.has(id)) operations.push(...diff(old.get(id), value, place));
    else operations.push({ op: 'add', path: place.toString(), value });
  });
  return operations;
}

/** Null when not every element is an object with an id of its own. */
function idsOf(list: readonly unknown[]): Map<string, unknown> | null {
  const byId = new Map<string, unknown>();
  for (const value of list) {
    if (typeof value !== 'object' || value === null || !('id' in value) || typeof value.id !== 'string') return null;
    byId.set(value.id, value);
  }
  return byId.size === list.length ? byId : null;
}

function diffByPlace(before: readonly unknown[], after: readonly unknown[], at: Pointer): Operation[] {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && isDeepStrictEqual(before[start], after[start])) start += 1;
  let end = 0;
  while (end < shorter - start && isDeepStrictEqual(before.at(-1 - end), after.at(-1 - end))) end += 1;
  const operations: Operation[] = [];
  for (let index = before.length - end - 1; index >= after.length - end; index -= 1) {
    operations.push({ op: 'remove', path: at.add(String(index)).toString() });
  }
  for (let index = start; index < after.length - end; index += 1) {
    const place = at.add(String(index));
    if (index < before.length - end) operations.push(...diff(before[index], after[index], place));
    else operations.push({ op: 'add', path: place.toString(), value: after[index] });
  }
  return operations;
}
