import fc from 'fast-check';

/** Characters that must not come out, listed by hand: the property is not to be that of the code under test. */
export const harmful =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for.
  // biome-ignore lint/suspicious/noMisleadingCharacterClass: so are those that join others.
  /[\u0000-\u001f\u007f-\u009f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufffb\ud800-\udfff\u{1d173}-\u{1d17a}\u{e0000}-\u{e0fff}]/u;

/** Texts of harmful characters, of what escapes look like, and of any others. */
export const hostileText = fc
  .array(
    fc.oneof(
      fc.constantFrom('\x1b', '\n', '\r', '\t', '\u009b', '\u202e', '\u2028', '\u200d', '\ud800', '\udc80', '\udcff'),
      fc.constantFrom('\\', '\\x1b', '\\x5c', '\\u{202e}', '\\X1B', 'x1b', 'u{1}', '\u{e0001}', '\ufeff', 'josé', '💼'),
      fc.string({ unit: 'binary' }),
    ),
  )
  .map((parts) => parts.join(''));
