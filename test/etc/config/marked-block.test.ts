// Lines of ours in a file of an admin's: in, out, and nothing else touched.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hasBlock, withBlock, withoutBlock } from '../../../etc/config/marked-block.ts';

const put = (text: string, lines = 'ours\n', before?: RegExp) => withBlock(text, '/file', lines, 'undo', before);
const takeOut = (text: string) => withoutBlock(text, '/file');
const block = '# >>> ccapi setup; undo takes these lines out\nours\n# <<< ccapi setup\n';

it('stand at the end, or before the first line that is said', () => {
  expect(put('a\nb\n')).toBe(`a\nb\n${block}`);
  expect(put('a\n[b\n[c\n', 'ours\n', /(?<![^\n])\[/)).toBe(`a\n${block}[b\n[c\n`);
  expect(put('a\n', 'ours\n', /(?<![^\n])\[/)).toBe(`a\n${block}`);
});

it('make a file where there is none, which is gone with them unless something else is in it by now', () => {
  const made = put(withBlock(undefined, '/file', 'ours\n', 'undo'), 'other\n');
  expect(takeOut(made)).toBeUndefined();
  expect(takeOut(`${made}a`)).toBe('a');
  expect(takeOut(put(''))).toBe('');
  expect(withoutBlock(undefined, '/file')).toBeUndefined();
});

it('are replaced where they are', () => {
  expect(put(`a\n${block}b\n`, 'other\n', /(?<![^\n])a/)).toBe(`a\n${block.replace('ours', 'other')}b\n`);
  expect(put(put('a', 'one\n'))).toBe(put('a'));
});

it('leave every text what it was, also with changes around them', () => {
  const text = fc.string({ unit: fc.constantFrom('a', '\n', '#', '[', ' ', '\r', '\xff') });
  fc.assert(
    fc.property(text, fc.constantFrom(/(?<![^\n])\[/, undefined), (before, where) => {
      const after = put(before, 'ours\n', where);
      expect(hasBlock(after, '/file')).toBe(true);
      expect(takeOut(after)).toBe(before);
      expect(takeOut(`above\n${after}below`)).toBe(`above\n${before}below`);
    }),
  );
});

describe('are not taken out where their marks are damaged:', () => {
  it.each([
    ['the first is gone', block.replace(/^.*\n/, '')],
    ['the last is gone', block.replace(/.*\n$/, '')],
    ['they are there twice', block + block],
  ])('%s', (_, text) => {
    expect(() => takeOut(text)).toThrow('/file: the marks around the lines of setup are damaged');
    expect(() => put(text)).toThrow('/file: the marks around the lines of setup are damaged');
  });
});
