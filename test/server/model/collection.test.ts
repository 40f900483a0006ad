// The model: names, order, times, and what each operation does to everything else (proto/CCAPI.md).
import { describe, expect, it } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import type { Collection } from '../../../server/model/collection.ts';
import type { Cursor } from '../../../server/model/cursor.ts';
import { collectionAt, credentialFor } from './model.ts';

const BIRTH = 1_700_000_000;
const names = (collection: Collection) => [...collection].map(({ name }) => name);

describe('names', () => {
  it('are given in their order', () => {
    const { collection } = collectionAt(BIRTH);
    const createNew = () => collection.createNew(2, 'a@R').name;
    expect([createNew(), createNew(), createNew()]).toEqual(['Initial default ccache', '0', '1']);
    collection.create('2', 2, 'a@R');
    expect(createNew()).toBe('3');
    for (const ccache of [...collection]) collection.destroy(ccache);
    const first = collection.createDefault(2, 'a@R');
    expect(first.name).toBe('Initial default ccache');
    expect(collection.createDefault(2, 'b@R')).toBe(first);
    expect(createNew()).toBe('4');
  });

  it('may be anything', () => {
    const { collection } = collectionAt(BIRTH);
    for (const name of ['', 'a/../b', 'x'.repeat(4096), '\udcff']) {
      const ccache = collection.create(name, 2, '');
      expect(collection.findByName(name)).toBe(ccache);
    }
  });
});

describe('a version that is not 2', () => {
  it.each([0, 1, 3])('is refused, and changes nothing: %i', (version) => {
    const { collection } = collectionAt(BIRTH);
    const ccache = collection.create('zz', 2, 'a@R');
    collection.store(ccache, credentialFor('s@R'));
    const before = [collection.changed, ccache.changed, ccache.contents.credentials.size];
    const refused = expect.objectContaining({ code: 212 });
    expect(() => collection.create('zz', version, 'b@R')).toThrow(refused);
    expect(() => collection.create('new', version, 'b@R')).toThrow(refused);
    expect(() => collection.setPrincipal(ccache, version, 'b@R')).toThrow(refused);
    expect([collection.changed, ccache.changed, ccache.contents.credentials.size]).toEqual(before);
    expect([ccache.version, ccache.contents.principal, names(collection)]).toEqual([2, 'a@R', ['zz']]);
  });
});

describe('change times', () => {
  it('are bumped as often as proto/CCAPI.md says', () => {
    const { collection, clock } = collectionAt(BIRTH);
    const seen = (a?: CCache, b?: CCache) =>
      [collection.changed, a?.changed, a?.lastDefault, b?.changed, b?.lastDefault].map((time) => time && time - BIRTH);
    expect(seen()).toEqual([0, undefined, undefined, undefined, undefined]);
    const a = collection.create('a', 2, 'a@R');
    expect(seen(a)).toEqual([1, 0, 0, undefined, undefined]);
    const b = collection.create('b', 2, 'b@R');
    expect(b.lastDefault).toBe(0);
    expect(seen(a, b).slice(0, 4)).toEqual([2, 0, 0, 0]);
    clock.now += 1000;
    collection.setDefault(a);
    expect(seen(a).slice(0, 3)).toEqual([2, 0, 0]);
    collection.setDefault(b);
    expect(seen(a, b)).toEqual([1002, 1000, 0, 1000, 1000]);
    collection.setDefault(a);
    expect(seen(a, b)).toEqual([1005, 1001, 1000, 1001, 1000]);
    collection.store(a, credentialFor('s@R'));
    expect(seen(a, b)).toEqual([1006, 1002, 1000, 1001, 1000]);
    collection.create('a', 2, 'a@R');
    expect(seen(a, b)).toEqual([1008, 1003, 1000, 1001, 1000]);
    clock.now += 1000;
    collection.destroy(a);
    expect(seen(undefined, b)).toEqual([2001, undefined, undefined, 1001, 1000]);
    const c = collection.create('c', 2, 'c@R');
    clock.now += 1000;
    collection.move(c, b);
    expect(seen(undefined, b)).toEqual([3003, undefined, undefined, 3001, 1000]);
  });
});

describe('an iteration over the ccaches', () => {
  /** The table of 4.7, its contract column; the order in brackets there is ours here. */
  it.each([
    [0, 'destroy a', 'b c d'],
    [0, 'destroy b', 'a c d'],
    [1, 'destroy a', 'b c d'],
    [1, 'destroy b', 'c d'],
    [2, 'destroy c', 'd'],
    [3, 'destroy d', ''],
    [0, 'default c', 'a b c d'],
    [1, 'default b', 'b c d'],
    [3, 'default d', 'd'],
    [2, 'create e', 'c d e'],
    [4, 'create e', 'e'],
  ])('of which %i of a b c d are returned, then %s, goes on with %j', (returned, change, expected) => {
    const { collection } = collectionAt(BIRTH);
    for (const name of ['a', 'b', 'c', 'd']) collection.create(name, 2, 'p@R');
    const walk = collection.cursor();
    const clone = collection.cursor();
    for (let i = 0; i < returned; i++) walk.next();
    const [operation, name] = change.split(' ') as [string, string];
    if (operation === 'create') collection.create(name, 2, 'p@R');
    else if (operation === 'destroy') collection.destroy(collection.findByName(name) as CCache);
    else collection.setDefault(collection.findByName(name) as CCache);
    const rest = walk.clone();
    expect(namesOf(walk)).toBe(expected);
    expect(namesOf(rest)).toBe(expected);
    expect(namesOf(clone).split(' ').length).toBeGreaterThanOrEqual(3);
  });

  it('begins with the default ccache', () => {
    const { collection } = collectionAt(BIRTH);
    for (const name of ['a', 'b', 'c']) collection.create(name, 2, 'p@R');
    collection.setDefault(collection.findByName('c') as CCache);
    expect(namesOf(collection.cursor())).toBe('c a b');
    expect(names(collection)).toEqual(['c', 'a', 'b']);
  });

  it('finds at its end what is appended after it, even where all it had seen is gone', () => {
    const { collection } = collectionAt(BIRTH);
    const a = collection.create('a', 2, 'p@R');
    const walk = collection.cursor();
    expect(namesOf(walk)).toBe('a');
    collection.destroy(a);
    collection.destroy(collection.create('b', 2, 'p@R'));
    collection.create('c', 2, 'p@R');
    expect(namesOf(walk)).toBe('c');
    expect(namesOf(walk)).toBe('');
  });
});

describe('an iteration over credentials', () => {
  it('skips what is removed and finds what is stored meanwhile', () => {
    const { collection } = collectionAt(BIRTH);
    const ccache = collection.create('a', 2, 'p@R');
    for (const server of ['1', '2', '3', '4']) collection.store(ccache, credentialFor(server));
    const walk = ccache.contents.credentials.cursor();
    const first = walk.next();
    const second = walk.clone().next();
    if (!first || !second) throw new Error('two were stored');
    collection.remove(ccache, [first.identifier]);
    collection.remove(ccache, [second.identifier]);
    collection.store(ccache, credentialFor('5'));
    expect(['3', '4', '5', undefined]).toEqual([0, 0, 0, 0].map(() => walk.next()?.value.server));
  });

  it('goes on where its ccache is moved, and its ccache’s own end', () => {
    const { collection } = collectionAt(BIRTH);
    const [source, destination] = [collection.create('s', 2, 's@R'), collection.create('d', 2, 'd@R')];
    collection.store(source, credentialFor('kept'));
    collection.store(destination, credentialFor('dropped'));
    collection.setKDCOffset(source, 5);
    const [kept, dropped] = [source.contents.credentials, destination.contents.credentials];
    collection.move(source, destination);
    expect([kept.discarded, dropped.discarded, destination.contents.credentials]).toEqual([false, true, kept]);
    expect(destination.contents).toMatchObject({ principal: 's@R', kdcOffset: 5 });
    expect([destination.name, names(collection)]).toEqual(['d', ['d']]);
    expect(collection.find(source.identifier)).toBeUndefined();
  });
});

it('a ccache cannot be moved onto itself, and stays as it was', () => {
  const { collection } = collectionAt(BIRTH);
  const ccache = collection.create('a', 2, 'p@R');
  collection.store(ccache, credentialFor('s@R'));
  const before = collection.changed;
  expect(() => collection.move(ccache, ccache)).toThrow(expect.objectContaining({ code: 202 }));
  expect([collection.changed, ccache.contents.credentials.size]).toEqual([before, 1]);
});

it('a credential of another ccache is not removed: 207', () => {
  const { collection } = collectionAt(BIRTH);
  const [a, b] = [collection.create('a', 2, 'p@R'), collection.create('b', 2, 'p@R')];
  collection.store(a, credentialFor('s@R'));
  const credential = a.contents.credentials.cursor().next();
  if (!credential) throw new Error('one was stored');
  expect(() => collection.remove(b, [credential.identifier])).toThrow(expect.objectContaining({ code: 207 }));
  const foreign = { ...credential.identifier, server: 'another' };
  expect(() => collection.remove(a, [foreign])).toThrow(expect.objectContaining({ code: 207 }));
  expect(a.contents.credentials.size).toBe(1);
});

describe('key material', () => {
  it.each([
    ['removed', (c: Collection, a: CCache) => c.remove(a, [[...a.contents.credentials][0]?.identifier as never])],
    ['destroyed', (c: Collection, a: CCache) => c.destroy(a)],
    ['reset', (c: Collection) => c.create('a', 2, 'p@R')],
    ['moved over', (c: Collection, a: CCache) => c.move(c.create('b', 2, 'p@R'), a)],
  ])('is overwritten when it is %s', (_, drop) => {
    const { collection } = collectionAt(BIRTH);
    const ccache = collection.create('a', 2, 'p@R');
    const credential = credentialFor('s@R');
    collection.store(ccache, credential);
    drop(collection, ccache);
    expect(credential.keyblock.data.equals(Buffer.alloc(16))).toBe(true);
    expect(credential.ticket.data.equals(Buffer.alloc(6))).toBe(true);
  });
});

function namesOf(walk: Cursor<CCache>): string {
  const found: string[] = [];
  for (let ccache = walk.next(); ccache; ccache = walk.next()) found.push(ccache.name);
  return found.join(' ');
}
