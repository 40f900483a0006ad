import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { escapedJSON, escapeText } from '../../../etc/host/escape.ts';
import { textFromBytes } from '../../../proto/text.ts';
import { harmful, hostileText } from '../../setup/hostile-text.ts';

/** The text that an escaped one stands for. */
function unescaped(text: string): string {
  return text.replace(/\\x([0-9a-f]{2})|\\u\{([0-9a-f]+)\}/g, (_, byte?: string, point?: string) => {
    if (point !== undefined) return String.fromCodePoint(Number.parseInt(point, 16));
    const value = Number.parseInt(byte as string, 16);
    return String.fromCharCode(value < 0x80 ? value : 0xdc00 + value);
  });
}

describe('an escaped text', () => {
  it.each([
    ['\x1b[31m', '\\x1b[31m'],
    ['a\nb\tc\x7f', 'a\\x0ab\\x09c\\x7f'],
    ['\u009b\u202e\u2066\u200b\ufeff', '\\u{9b}\\u{202e}\\u{2066}\\u{200b}\\u{feff}'],
    [textFromBytes(Buffer.from([0x61, 0xff])), 'a\\xff'],
    ['\ud800', '\\u{d800}'],
    ['\\x1b \\u{202e}', '\\x5cx1b \\x5cu{202e}'],
    ['\\\x1b', '\\\\x1b'],
    ['user\\@corp@REALM, josé, 日本, 💼', 'user\\@corp@REALM, josé, 日本, 💼'],
  ])('of %j is %s', (text, escaped) => {
    expect(escapeText(text)).toBe(escaped);
  });

  it('holds nothing harmful, and stands for one text alone', () => {
    fc.assert(
      fc.property(hostileText, (text) => {
        const escaped = escapeText(text);
        expect(escaped).not.toMatch(harmful);
        expect(unescaped(escaped)).toBe(text);
      }),
      { numRuns: 2000 },
    );
  });
});

describe('escaped JSON', () => {
  it.each([0, 2])('holds nothing harmful, and means the same: indented by %i', (indent) => {
    fc.assert(
      fc.property(fc.dictionary(hostileText, fc.array(hostileText)), (value) => {
        const json = escapedJSON(value, indent);
        expect(json.replaceAll('\n', '')).not.toMatch(harmful);
        if (indent === 0) expect(json).not.toContain('\n');
        expect(JSON.parse(json)).toEqual(JSON.parse(JSON.stringify(value)));
      }),
      { numRuns: 1000 },
    );
  });
});
