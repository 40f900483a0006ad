import fc from 'fast-check';
import { expect, it } from 'vitest';
import { bytesFromText, textFromBytes } from '../../proto/text.ts';

it('gives back every sequence of bytes', () => {
  const unit = fc.oneof(
    fc.uint8Array({ maxLength: 6 }).map((array) => Buffer.from(array)),
    fc.string({ unit: 'binary', maxLength: 4 }).map((text) => Buffer.from(text)),
    fc.constantFrom('eda080', 'c080', 'f4908080', 'e282', 'efbfbd', 'efbbbf').map((hex) => Buffer.from(hex, 'hex')),
  );
  fc.assert(
    fc.property(fc.array(unit), (units) => {
      const bytes = Buffer.concat(units);
      expect(bytesFromText(textFromBytes(bytes))).toEqual(bytes);
    }),
    { numRuns: 2000 },
  );
});

it('reads UTF-8 as the text it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(textFromBytes(Buffer.from(text))).toBe(text);
    }),
  );
});

it('marks a byte that is not UTF-8 by a lone surrogate', () => {
  expect(textFromBytes(Buffer.from('61ff62', 'hex'))).toBe('a\udcffb');
  expect(textFromBytes(Buffer.from('f09f9880', 'hex'))).toBe('😀');
});
