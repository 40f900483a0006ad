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
    { numRuns: 1000 },
  );
});

it('reads UTF-8 as the text it is', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme' }), (text) => {
      expect(textFromBytes(Buffer.from(text))).toBe(text);
    }),
  );
});

/** A byte that is no UTF-8 has the text read byte by byte. */
const beside = (hex: string) => textFromBytes(Buffer.from(`${hex}ff`, 'hex'));

it.each([
  0x01, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfffd, 0xffff, 0x10000, 0x3ffff, 0x40000, 0xfffff,
  0x100000, 0x10ffff,
])('reads the character %i beside a byte that is not UTF-8', (point) => {
  const character = String.fromCodePoint(point);
  expect(beside(Buffer.from(character).toString('hex'))).toBe(`${character}\udcff`);
});

it.each([
  '80',
  'bf',
  'c080',
  'c1bf',
  'e09fbf',
  'eda080',
  'edbfbf',
  'f08fbfbf',
  'f4908080',
  'f5808080',
  'e282',
  'f09f98',
])('marks every byte of %s, which is no character', (hex) => {
  const marked = [...Buffer.from(`${hex}ff`, 'hex')].map((byte) => String.fromCharCode(0xdc00 + byte));
  expect(beside(hex)).toBe(marked.join(''));
});

it('marks a byte that is not UTF-8 by a lone surrogate', () => {
  expect(textFromBytes(Buffer.from('61ff62', 'hex'))).toBe('a\udcffb');
  expect(textFromBytes(Buffer.from('f09f9880', 'hex'))).toBe('😀');
});
