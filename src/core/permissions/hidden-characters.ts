/** Controls but tab and line feed; everything that is not seen, or looks like a blank and is none; halves of surrogate pairs. */
const HIDDEN =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u00a0\u034f\u115f\u1160\u1680\u17b4\u17b5\u180b-\u180f\u2000-\u200a\u202f\u205f\u2800\u3000\u3164\ufe00-\ufe0f\uffa0\ufffc\p{Cf}\p{Zl}\p{Zp}\p{Cs}\p{Co}]|[\u{e0100}-\u{e01ef}]/u;

const ALL_HIDDEN = new RegExp(HIDDEN.source, 'gu');

/** The first hidden character as `U+200B`; null when all can be seen. */
export function hiddenCharacter(text: string): string | null {
  const found = HIDDEN.exec(text)?.[0].codePointAt(0);
  return found === undefined ? null : `U+${found.toString(16).toUpperCase().padStart(4, '0')}`;
}

/** As a careless reader, or a file system that ignores case and width, would see it. */
export function folded(text: string): string {
  return text.replace(ALL_HIDDEN, '').normalize('NFKC').toLowerCase();
}
