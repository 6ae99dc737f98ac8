/** PostgreSQL's JSON takes neither NUL nor half a surrogate pair, and no client needs them. */
const NUL = '\0';

export const isStorable = (text: string): boolean => text.isWellFormed() && !text.includes(NUL);

/** The text with what cannot be stored replaced by U+FFFD. */
export const storable = (text: string): string =>
  isStorable(text) ? text : text.toWellFormed().replaceAll(NUL, '\u{fffd}');

/** A JSON value whose texts are all storable, names of properties included. */
export function storableJson(value: unknown): unknown {
  if (typeof value === 'string') return storable(value);
  if (Array.isArray(value)) return value.map(storableJson);
  if (value === null || typeof value !== 'object') return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [storable(name), storableJson(inner)]));
}

/** Makes the deltas of a block storable one by one: a pair that was cut between two deltas goes out whole with the second one. */
export class StorableDeltas {
  private readonly carried = new Map<string, string>();

  clean(blockId: string, delta: string): string {
    const carried = this.carried.get(blockId);
    if (carried === undefined && isStorable(delta)) return delta;
    this.carried.delete(blockId);
    const text = (carried ?? '') + delta;
    const last = text.charCodeAt(text.length - 1);
    const isCut = last >= 0xd800 && last <= 0xdbff;
    if (isCut) this.carried.set(blockId, text.slice(-1));
    return storable(isCut ? text.slice(0, -1) : text);
  }
}
