const isHighSurrogate = (unit: number): boolean => unit >= 0xd800 && unit <= 0xdbff;

/** The first `length` UTF-16 units, without half of a surrogate pair at the end. */
export function headOf(text: string, length: number): string {
  if (text.length <= length) return text;
  if (length <= 0) return '';
  return text.slice(0, isHighSurrogate(text.charCodeAt(length - 1)) ? length - 1 : length);
}

/** The last `length` UTF-16 units, without half of a surrogate pair at the beginning. */
function tailOf(text: string, length: number): string {
  if (text.length <= length) return text;
  if (length <= 0) return '';
  const start = text.length - length;
  return text.slice(isHighSurrogate(text.charCodeAt(start - 1)) ? start + 1 : start);
}

export const TRUNCATED = '<<<TRUNCATED>>>';

/** At most about `length` UTF-16 units: a longer text loses its middle, which a mark stands for. */
export function withoutMiddle(text: string, length: number): string {
  if (text.length <= length) return text;
  const half = Math.floor(Math.max(0, length) / 2);
  return `${headOf(text, half)}\n${TRUNCATED}\n${tailOf(text, half)}`;
}

export const reminder = (text: string): string => `<system-reminder>${unframed(text)}</system-reminder>`;

/** A text as it may stand inside a reminder: unable to end it, or to begin one of its own. */
export const unframed = (text: string): string => text.replace(/<(?=\s*\/?\s*system-reminder)/gi, '&lt;');

/** A name or an address as it may stand inside a reminder: on one line, short, and unable to end it. */
export function plainName(text: string): string {
  return headOf(text.replace(/[<>\p{Cc}]+/gu, ' ').trim(), 256);
}
