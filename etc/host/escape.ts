/**
 * What must not reach a terminal or a log as it is: control characters, characters that change the direction of text, line
 * and paragraph separators, characters without a shape of their own, and halves of surrogate pairs.
 */
const UNSAFE = String.raw`\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}`;

const unsafeOrForm = new RegExp(String.raw`[${UNSAFE}]|\\(?=x[0-9a-f]{2}|u\{[0-9a-f]+\})`, 'giu');
const unsafeInJSON = new RegExp(String.raw`(?!\n)[${UNSAFE}]`, 'gu');

/**
 * A text with visible escapes for what a terminal or a reader could be misled by: `\x1b` is a byte (an ASCII control
 * character, or a byte that is no UTF-8, see proto/text.ts), `\u{202e}` a character. A backslash before text that looks
 * like such an escape becomes `\x5c`, so that no two texts come out the same; any other backslash stays.
 */
export function escapeText(text: string): string {
  return text.replace(unsafeOrForm, (character) => {
    const point = character.codePointAt(0) as number;
    const byte = point >= 0xdc80 && point <= 0xdcff ? point - 0xdc00 : point < 0x80 ? point : undefined;
    return byte === undefined ? `\\u{${point.toString(16)}}` : `\\x${byte.toString(16).padStart(2, '0')}`;
  });
}

/** JSON text of the same meaning, with `\uXXXX` for the same characters; `indent` spaces and lines where it is not 0. */
export function escapedJSON(value: unknown, indent = 0): string {
  const units = (character: string) =>
    Array.from({ length: character.length }, (_, i) => `\\u${character.charCodeAt(i).toString(16).padStart(4, '0')}`);
  return JSON.stringify(value, null, indent).replace(unsafeInJSON, (character) => units(character).join(''));
}
