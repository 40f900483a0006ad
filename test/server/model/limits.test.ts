// What happens when a collection is as large as it may be, and what goes when it has expired.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { CredentialV5 } from '../../../proto/credential.ts';
import type { Collection } from '../../../server/model/collection.ts';
import { collectionAt, credentialFor } from './model.ts';

const NOW = 1_700_000_000;
const full = (setting: string) => expect.objectContaining({ code: 203, message: `${setting} is reached` });

function limited(most: Partial<Collection['limits']['most']>): { collection: Collection; told: string[] } {
  const { collection } = collectionAt(NOW);
  const told: string[] = [];
  collection.limits.most = { ...collection.limits.most, ...most };
  collection.limits.onMet = (message) => void told.push(message);
  return { collection, told };
}

const expiring = (server: string, endtime: number): CredentialV5 => credentialFor(server, endtime);
const services = (collection: Collection, name: string) =>
  [...(collection.findByName(name)?.contents.credentials ?? [])].map(({ value }) => value.server);

describe('a limit', () => {
  it('of ccaches refuses one more, changes nothing, is told of once, and holds no more once one has gone', () => {
    const { collection, told } = limited({ caches: 2 });
    const a = collection.create('a', 2, 'a@R');
    collection.create('b', 2, 'b@R');
    const before = [collection.changed, collection.size];
    for (let i = 0; i < 3; i++) expect(() => collection.create('c', 2, 'c@R')).toThrow(full('max_caches = 2'));
    expect([collection.changed, collection.size]).toEqual(before);
    expect(told).toEqual(['max_caches = 2 is reached']);
    collection.create('a', 2, 'again@R');
    collection.destroy(a);
    collection.create('c', 2, 'c@R');
    expect(() => collection.create('d', 2, 'd@R')).toThrow(full('max_caches = 2'));
    expect(told).toHaveLength(2);
  });

  it('of credentials counts those of all ccaches, by whatever they come and go', () => {
    const { collection } = limited({ credentials: 3 });
    const [a, b] = [collection.create('a', 2, 'a@R'), collection.create('b', 2, 'b@R')];
    for (const ccache of [a, a, b]) collection.store(ccache, credentialFor('s@R'));
    expect(() => collection.store(b, credentialFor('s@R'))).toThrow(full('max_credentials = 3'));
    // In the place of another there is room for it.
    const [first] = [...a.contents.credentials];
    if (first) collection.store(a, credentialFor('t@R'), [first]);
    collection.move(b, a);
    collection.store(a, credentialFor('u@R'));
    collection.store(a, credentialFor('v@R'));
    expect(() => collection.store(a, credentialFor('w@R'))).toThrow(full('max_credentials = 3'));
    collection.create('a', 2, 'a@R');
    for (let i = 0; i < 3; i++) collection.store(a, credentialFor('x@R'));
    const many = collection.emptyContents('b@R');
    many.credentials.append(credentialFor('y@R'));
    expect(() => collection.replace('b', many)).toThrow(full('max_credentials = 3'));
    expect(collection.findByName('b')).toBeUndefined();
  });

  it('of bytes counts tickets', () => {
    const { collection } = limited({ bytes: 100_000 });
    const a = collection.create('a', 2, 'a@R');
    const large = { ...credentialFor('s@R'), ticket: { type: 0, data: Buffer.alloc(60_000) } };
    collection.store(a, large);
    const another = { ...large, ticket: { type: 0, data: Buffer.alloc(60_000) } };
    expect(() => collection.store(a, another)).toThrow(full('max_bytes = 100000'));
    collection.remove(
      a,
      [...a.contents.credentials].map(({ identifier }) => identifier),
    );
    collection.store(a, another);
    expect(collection.limits.held).toEqual({ caches: 1, credentials: 1, bytes: a.contents.credentials.bytes });
  });

  it.each<[string, number, (value: CredentialV5) => unknown]>([
    ['the client', 7, (value) => (value.client = `${'c'.repeat(7)}${value.client}`)],
    ['the server', 7, (value) => (value.server = `${'s'.repeat(7)}${value.server}`)],
    ['the key', 7, (value) => (value.keyblock.data = Buffer.alloc(value.keyblock.data.length + 7))],
    ['the ticket', 7, (value) => (value.ticket.data = Buffer.alloc(value.ticket.data.length + 7))],
    ['the second ticket', 7, (value) => (value.secondTicket.data = Buffer.alloc(7))],
    ['addresses', 7, (value) => (value.addresses = [3, 4].map((length) => ({ type: 2, data: Buffer.alloc(length) })))],
    [
      'authorization data',
      7,
      (value) => (value.authdata = [7, 0].map((length) => ({ type: 1, data: Buffer.alloc(length) }))),
    ],
  ])('of bytes counts those of %s', (_, more, lengthen) => {
    const { collection } = limited({});
    const a = collection.create('a', 2, 'a@R');
    collection.store(a, credentialFor('s@R'));
    const { bytes } = collection.limits.held;
    const value = credentialFor('s@R');
    lengthen(value);
    collection.store(a, value);
    expect(collection.limits.held.bytes).toBe(2 * bytes + more);
    collection.limits.most.bytes = collection.limits.held.bytes + bytes;
    collection.store(a, credentialFor('s@R'));
    expect(() => collection.store(a, credentialFor('s@R'))).toThrow(expect.objectContaining({ code: 203 }));
    collection.destroy(a);
    expect(collection.limits.held).toEqual({ caches: 0, credentials: 0, bytes: 0 });
  });

  it('makes what has expired go first', () => {
    const { collection, told } = limited({ credentials: 3 });
    const [a, b] = [collection.create('a', 2, 'a@R'), collection.create('b', 2, 'b@R')];
    collection.store(a, expiring('expired@R', NOW - 1));
    collection.store(a, expiring('good@R', NOW + 1));
    collection.store(b, expiring('expired too@R', NOW - 1));
    collection.store(a, expiring('new@R', NOW + 1));
    expect(services(collection, 'a')).toEqual(['good@R', 'new@R']);
    expect(collection.findByName('b')).toBeUndefined();
    expect(told).toEqual([]);
  });

  it('has room for what takes the place of as much', () => {
    const { collection } = limited({ credentials: 1, bytes: 1000 });
    const a = collection.create('a', 2, 'a@R');
    collection.store(a, large('first@R'));
    collection.store(a, large('second@R'), [...a.contents.credentials]);
    const contents = collection.emptyContents('a@R');
    contents.credentials.append(large('third@R'));
    collection.replace('a', contents);
    expect(services(collection, 'a')).toEqual(['third@R']);
  });

  it('takes nothing away from a ccache that is being changed but what has expired in it', () => {
    const { collection } = limited({ credentials: 1 });
    const a = collection.create('a', 2, 'a@R');
    collection.store(a, expiring('expired@R', NOW - 1));
    collection.store(a, expiring('new@R', NOW + 1));
    expect(services(collection, 'a')).toEqual(['new@R']);
    expect(collection.findByName('a')).toBe(a);
  });

  it('keeps count, and loses nothing that it has taken, whatever comes and expires', () => {
    const name = fc.constantFrom('a', 'b', 'c');
    const endtime = fc.integer({ min: NOW, max: NOW + 10 });
    const step = fc.record({ name, endtime, how: fc.constantFrom('store', 'store over', 'replace', 'later') });
    const most = fc.record({ caches: fc.constantFrom(2, 3), credentials: fc.integer({ min: 1, max: 6 }) });
    fc.assert(
      fc.property(most, fc.array(step, { maxLength: 40 }), (limits, steps) => {
        const { collection, clock } = collectionAt(NOW);
        collection.limits.most = { ...collection.limits.most, ...limits };
        for (const [i, one] of steps.entries()) {
          if (one.how === 'later') clock.now++;
          else if (changed(collection, one, `${i}@R`)) expect(services(collection, one.name)).toContain(`${i}@R`);
          expect(collection.limits.held).toEqual(counted(collection));
        }
      }),
    );
  });
});

const large = (server: string): CredentialV5 => ({
  ...credentialFor(server),
  ticket: { type: 0, data: Buffer.alloc(500) },
});

/** Has a credential come in one of the ways; false where there was no room for it. */
function changed(
  collection: Collection,
  { name, endtime, how }: { name: string; endtime: number; how: string },
  server: string,
): boolean {
  const value = expiring(server, endtime);
  try {
    if (how === 'replace') {
      const contents = collection.emptyContents('a@R');
      contents.credentials.append(value);
      collection.replace(name, contents);
    } else {
      const ccache = collection.findByName(name) ?? collection.create(name, 2, 'a@R');
      const [first] = ccache.contents.credentials;
      collection.store(ccache, value, how === 'store over' && first ? [first] : []);
    }
    return true;
  } catch (error) {
    expect(error).toMatchObject({ code: 203 });
    return false;
  }
}

/** What a collection really holds. */
function counted(collection: Collection): Collection['limits']['held'] {
  const lists = [...collection].map(({ contents }) => contents.credentials);
  return lists.reduce(
    (held, { size, bytes }) => ({
      caches: held.caches + 1,
      credentials: held.credentials + size,
      bytes: held.bytes + bytes,
    }),
    { caches: 0, credentials: 0, bytes: 0 },
  );
}

describe('what has expired', () => {
  it('goes by its end time, a ccache with the last of its tickets, notes and what has no end time do not', () => {
    const { collection } = collectionAt(NOW);
    const config = credentialFor('krb5_ccache_conf_data/pa_type@X-CACHECONF:', 0);
    const contents: Record<string, CredentialV5[]> = {
      part: [expiring('old@R', 100), expiring('young@R', 300), expiring('endless@R', 0)],
      all: [config, expiring('old@R', 100), expiring('older@R', 50)],
      notes: [config],
      none: [],
      endless: [expiring('endless@R', 0)],
    };
    for (const [name, credentials] of Object.entries(contents)) {
      const ccache = collection.create(name, 2, 'a@R');
      for (const credential of credentials) collection.store(ccache, credential);
    }
    collection.purge(200);
    expect([...collection].map(({ name }) => name)).toEqual(['part', 'notes', 'none', 'endless']);
    expect(services(collection, 'part')).toEqual(['young@R', 'endless@R']);
  });

  it('goes however much it is', () => {
    const { collection } = collectionAt(NOW);
    const ccache = collection.create('a', 2, 'a@R');
    for (let i = 0; i < 150_000; i++) collection.store(ccache, expiring('old@R', 100));
    collection.store(ccache, expiring('young@R', 300));
    collection.purge(200);
    expect(services(collection, 'a')).toEqual(['young@R']);
    expect(collection.limits.held).toMatchObject({ caches: 1, credentials: 1 });
  });
});
