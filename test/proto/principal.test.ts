import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { parsePrincipal, splitRealm, unparsePrincipal } from '../../proto/principal.ts';
import { plainPrincipal } from './arbitrary.ts';

it('is parsed from its text as it was', () => {
  fc.assert(
    fc.property(plainPrincipal, (principal) => {
      expect(parsePrincipal(unparsePrincipal(principal))).toEqual(principal);
    }),
    { numRuns: 1000 },
  );
});

describe('the text of a principal', () => {
  it.each([
    ['alice@EXAMPLE.COM', ['alice'], 'EXAMPLE.COM', 1],
    ['krbtgt/B@A', ['krbtgt', 'B'], 'A', 2],
    ['WELLKNOWN/ANONYMOUS@WELLKNOWN:ANONYMOUS', ['WELLKNOWN', 'ANONYMOUS'], 'WELLKNOWN:ANONYMOUS', 11],
    ['a\\/b\\@c\\\\@R', ['a/b@c\\'], 'R', 1],
    ['a\\nb\\tc\\bd\\0@R', ['a\nb\tc\bd\0'], 'R', 1],
    ['a/@', ['a', ''], '', 1],
    ['@R', [''], 'R', 1],
    ['jürgen@R', ['jürgen'], 'R', 1],
  ])('%s', (text, components, realm, nameType) => {
    expect(parsePrincipal(text)).toEqual({ components, realm, nameType });
    expect(unparsePrincipal({ components, realm })).toBe(text);
  });

  it.each(['alice', '', 'a@b@c', 'a@b/c', 'a@R\\', 'a\\'])('%j is refused', (text) => {
    expect(() => parsePrincipal(text)).toThrow(expect.objectContaining({ code: 202 }));
  });

  it.each([
    ['krbtgt/B@A', 'krbtgt/B', 'A'],
    ['alice', 'alice', ''],
    ['a\\@b@R', 'a\\@b', 'R'],
    ['a\\@b', 'a\\@b', ''],
  ])('%s is the name %s in the realm "%s"', (text, name, realm) => {
    expect(splitRealm(text)).toEqual({ name, realm });
  });
});
