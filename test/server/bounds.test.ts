// What one client can make a worker do for it: time and memory that grow with what is asked for, and no faster.
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { CCAPIError } from '../../proto/errors.ts';
import { matchFlags } from '../../proto/kcm.ts';
import { credentialV5In, fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { bytesFromText, textFromBytes } from '../../proto/text.ts';
import type { Cancellable } from '../../server/model/cancellation.ts';
import type { CCache } from '../../server/model/ccache.ts';
import { CCacheOrder } from '../../server/model/ccache-order.ts';
import type { Collection } from '../../server/model/collection.ts';
import type { Cursor } from '../../server/model/cursor.ts';
import { Iterators } from '../../server/model/iterators.ts';
import { lockTypes } from '../../server/model/locks.ts';
import { kcmHandlers } from '../../server/protocols/kcm-handlers.ts';
import { findMatches } from '../../server/protocols/kcm-matching.ts';
import { KCMNames } from '../../server/protocols/kcm-names.ts';
import { KCMSession } from '../../server/protocols/kcm-session.ts';
import { collectionAt, credentialFor } from './model/model.ts';

/** How many times as long ten times as much may take: what is in proportion takes 10, what is squared 100. */
const LINEAR = 30;

/** Milliseconds that something takes at best. */
function timeOf(action: () => void): number {
  let best = Infinity;
  for (let round = 0; round < 3; round++) {
    const began = performance.now();
    action();
    best = Math.min(best, performance.now() - began);
  }
  return best;
}

const withOneOdd = (length: number) => Buffer.alloc(length, 'x').fill(0xff, length / 2, length / 2 + 1);
const odd = (length: number) => Buffer.alloc(length, Buffer.from('61ff62e282', 'hex'));

describe('text', () => {
  it.each([
    ['with one byte that is no UTF-8', withOneOdd],
    ['with many such bytes', odd],
  ])('%s takes time in proportion to its length, and well under a second for 10 MB', (_, make) => {
    const both = (bytes: Buffer) => timeOf(() => expect(bytesFromText(textFromBytes(bytes)).equals(bytes)).toBe(true));
    const [some, more] = [both(make(1_000_000)), both(make(10_000_000))];
    expect(more / some).toBeLessThan(LINEAR);
    expect(more).toBeLessThan(5000);
  });
});

describe('credentials for one service', () => {
  const context = () => {
    const { collection } = collectionAt(1_700_000_000);
    collection.create('a', 2, 'alice@R');
    return { collection, names: new KCMNames(collection, 1) };
  };
  /** Each for a purpose of its own: a client, a key type or authorization data. */
  const each = (i: number) => ({
    ...credentialFor('s@R'),
    client: `client${i % 3 === 0 ? i : 0}@R`,
    keyblock: { type: i % 3 === 1 ? i % 30_000 : 18, data: Buffer.alloc(16) },
    authdata: i % 3 === 2 ? [{ type: 1, data: Buffer.from(String(i)) }] : [],
  });

  it('are stored in time in proportion to their number, and each replaces the one for the same purpose', () => {
    const store = (count: number) => {
      const { collection, names } = context();
      const bytes = Array.from({ length: count }, (_, i) => marshalled(fromCredentialV5(each(i))));
      const began = performance.now();
      for (let round = 0; round < 2; round++) {
        for (const one of bytes) kcmHandlers.store({ name: 'a', credential: Buffer.from(one) }, { collection, names });
      }
      const took = performance.now() - began;
      expect(collection.findByName('a')?.contents.credentials.size).toBe(count);
      return took;
    };
    store(2000);
    const [some, more] = [store(2000), store(20_000)];
    expect(more / some).toBeLessThan(LINEAR);
  });

  it('are found by client and service without looking at those of other clients', () => {
    const { collection } = context();
    const list = collection.findByName('a')?.contents.credentials as CCache['contents']['credentials'];
    const ccache = collection.findByName('a') as CCache;
    const clients = Array.from({ length: 40 }, (_, i) => `client${i % 20}@R`);
    const looked = (client: string) => [...list.forPrincipals(client, 's@R')].map(({ value }) => value.client);
    for (const client of clients) collection.store(ccache, { ...credentialFor('s@R'), client });
    for (const client of new Set(clients)) expect(looked(client)).toEqual([client, client]);
    expect(looked('other@R')).toEqual([]);
    collection.remove(
      ccache,
      [...list].slice(0, 20).map(({ identifier }) => identifier),
    );
    for (const client of new Set(clients)) expect(looked(client)).toEqual([client]);
    // By name only, or in any realm, the principals do not tell.
    const matching = { server: 's@OTHER', enctype: 0, authtime: 0, starttime: 0, endtime: 0, renewTill: 0, isSkey: 0 };
    const wanted = { ...matching, client: 'client3@R', ticketFlags: 0, authdata: [], secondTicket: Buffer.alloc(0) };
    const found = (flags: number) => [...findMatches(list, wanted, flags)].length;
    expect([found(0), found(matchFlags.serverNameOnly), found(matchFlags.dontMatchRealm)]).toEqual([0, 1, 1]);
    expect([...findMatches(list, { ...wanted, server: 's@R' }, 0)]).toHaveLength(1);
  });

  it('are replaced by what is for the same as them, and by nothing else', () => {
    const { collection, names } = context();
    const values = Array.from({ length: 60 }, (_, i) => each(i));
    const store = (value: (typeof values)[0]) =>
      kcmHandlers.store({ name: 'a', credential: marshalled(fromCredentialV5(value)) }, { collection, names });
    for (const value of values) store(value);
    for (const [i, value] of values.entries()) store({ ...value, endtime: 2_000_000_001 + i });
    const list = collection.findByName('a')?.contents.credentials as Iterable<{ value: { endtime: number } }>;
    expect([...list].map(({ value }) => value.endtime)).toEqual(values.map((_, i) => 2_000_000_001 + i));
    const credentials = collection.findByName('a')?.contents.credentials;
    for (const value of values) expect(credentials?.findReplaced(value)).toHaveLength(1);
    for (const other of [{ isSkey: 1 }, { secondTicket: { type: 0, data: Buffer.from('x') } }, { client: 'other@R' }]) {
      store({ ...(values[0] as (typeof values)[0]), ...other });
    }
    expect([...list]).toHaveLength(63);
    expect(credentialV5In(marshalled(fromCredentialV5(values[1] as (typeof values)[0]))).keyblock.type).toBe(1);
  });
});

describe('iterators over ccaches', () => {
  const collectionOf = (count: number) => {
    const { collection } = collectionAt(1_700_000_000);
    for (let i = 0; i < count; i++) collection.create(`${i}`, 2, 'a@R');
    return collection;
  };
  const setDefault = (collection: Collection, name: string) =>
    collection.setDefault(collection.findByName(name) as CCache);

  it('take the same memory over many ccaches as over few', () => {
    const collection = collectionOf(5000);
    const iterators = new Iterators(collection);
    const before = process.memoryUsage();
    const owned = Array.from({ length: 3 }, () => new Set<string>());
    for (let i = 0; i < 15_000; i++) {
      iterators.openOverCCaches(owned[i % 3] as Set<string>, collection.cursor());
      // Where a snapshot was shared by the iterations between two changes of the order, this is what parts them.
      setDefault(collection, `${i % 5000}`);
    }
    const { heapUsed, external } = process.memoryUsage();
    expect(heapUsed + external - before.heapUsed - before.external).toBeLessThan(60 * 1024 * 1024);
  });

  it('are refused beyond 10,000 on one connection, and let in again when one is released', () => {
    const collection = collectionOf(1);
    const iterators = new Iterators(collection);
    const owned = new Set<string>();
    for (let i = 0; i < 10_000; i++) iterators.openOverCCaches(owned, collection.cursor());
    const refused = expect.objectContaining({ code: 203 });
    expect(() => iterators.openOverCCaches(owned, collection.cursor())).toThrow(refused);
    const list = collection.findByName('0')?.contents.credentials as CCache['contents']['credentials'];
    expect(() => iterators.openOverCredentials(owned, list, list.cursor())).toThrow(refused);
    iterators.release([...owned][0] as string);
    iterators.openOverCCaches(owned, collection.cursor());
    expect(iterators.size).toBe(10_000);
  });

  it('let go of their position when they are released', () => {
    const iterators = new Iterators(collectionOf(1));
    let closed = 0;
    const walk = { next: () => undefined, clone: () => walk, close: () => void closed++ };
    const { identifier } = iterators.openOverCCaches(new Set(), walk);
    iterators.release(identifier.object);
    expect([closed, iterators.size]).toEqual([1, 0]);
  });

  it('let go of their position when they are refused, and when what they walk over is gone', () => {
    const collection = collectionOf(1);
    const iterators = new Iterators(collection);
    let closed = 0;
    const walk = { next: () => undefined, clone: () => walk, close: () => void closed++ };
    const full = new Set(Array.from({ length: 10_000 }, (_, i) => `${i}`));
    const ccache = collection.findByName('0') as CCache;
    const list = ccache.contents.credentials;
    expect(() => iterators.openOverCCaches(full, walk)).toThrow();
    expect(() => iterators.openOverCredentials(full, list, walk)).toThrow();
    expect([closed, iterators.size, full.size]).toEqual([2, 0, 10_000]);
    const owned = new Set<string>();
    const { identifier } = iterators.openOverCredentials(owned, list, walk);
    expect(iterators.findCredentialsIterator(identifier.object)?.list).toBe(list);
    collection.destroy(ccache);
    expect(iterators.findCredentialsIterator(identifier.object)).toBeUndefined();
    expect([closed, iterators.size, owned.size]).toEqual([3, 0, 0]);
  });

  it('that are left open do not make the order grow with each change of the default', () => {
    const order = new CCacheOrder();
    const ccaches = Array.from({ length: 10 }, (_, i) => ({ name: `${i}`, removed: false }) as CCache);
    for (const ccache of ccaches) order.append(ccache);
    // While none is open nothing of the past is kept at all.
    for (let i = 0; i < 100; i++) {
      order.moveToFront(ccaches[9 - (i % 10)] as CCache);
      expect(order.size).toBe(10);
    }
    const walk = order.cursor();
    for (let i = 0; i < 10_000; i++) order.moveToFront(ccaches[i % 10] as CCache);
    expect(order.size).toBeLessThan(200);
    expect(rest(walk)).toEqual(ccaches);
    walk.close();
    expect(order.size).toBe(10);
  });

  it('leave nothing in the order of ccaches that are gone', () => {
    const order = new CCacheOrder();
    const [a, b, c] = Array.from({ length: 3 }, () => ({ removed: false }) as CCache) as [CCache, CCache, CCache];
    for (const ccache of [a, b, c]) order.append(ccache);
    const walks = Array.from({ length: 1000 }, (_, i) => {
      order.moveToFront(i % 2 === 0 ? a : b);
      return order.cursor();
    });
    for (const ccache of [a, b]) {
      ccache.removed = true;
      order.remove(ccache);
    }
    expect([order.size, [...order]]).toEqual([1, [c]]);
    for (const walk of walks) expect(rest(walk)).toEqual([c]);
  });

  it('return what a copy of the order would have returned, whatever happens meanwhile, as the order itself does', () => {
    const step = fc.record({
      what: fc.constantFrom('add', 'move', 'move', 'remove', 'walk', 'next', 'clone', 'close'),
      which: fc.nat(),
    });
    fc.assert(
      fc.property(fc.constantFrom(0, 64), fc.array(step, { maxLength: 120, size: 'max' }), (few, steps) => {
        const order = new CCacheOrder(few);
        let now: CCache[] = [];
        let open: { walk: Cursor<CCache>; queue: CCache[] }[] = [];
        for (const [i, { what, which }] of steps.entries()) {
          const ccache = now[which % now.length] as CCache;
          const one = open[which % open.length];
          if (what === 'add') {
            const added = { name: `${i}`, removed: false } as CCache;
            order.append(added);
            now.push(added);
            for (const { queue } of open) queue.push(added);
          } else if (what === 'walk') open.push({ walk: order.cursor(), queue: [...now] });
          else if (what === 'move' && ccache) {
            order.moveToFront(ccache);
            now = [ccache, ...now.filter((other) => other !== ccache)];
          } else if (what === 'remove' && ccache) {
            ccache.removed = true;
            order.remove(ccache);
            now = now.filter((other) => other !== ccache);
            for (const each of open) each.queue = each.queue.filter((other) => other !== ccache);
          } else if (what === 'next' && one) expect(one.walk.next()?.name).toBe(one.queue.shift()?.name);
          else if (what === 'clone' && one) open.push({ walk: one.walk.clone(), queue: [...one.queue] });
          else if (what === 'close' && one) {
            one.walk.close();
            open = open.filter((other) => other !== one);
          }
          expect([order.first, [...order]]).toEqual([now[0], now]);
        }
        for (const { walk, queue } of open)
          expect(rest(walk).map(({ name }) => name)).toEqual(queue.map(({ name }) => name));
      }),
      { numRuns: 2000 },
    );
  });
});

function rest(walk: Cursor<CCache>): CCache[] {
  const found: CCache[] = [];
  for (let ccache = walk.next(); ccache; ccache = walk.next()) found.push(ccache);
  return found;
}

describe('locks', () => {
  it('leave nothing with their client, however often they are upgraded and downgraded', () => {
    const { collection } = collectionAt(1_700_000_000);
    const { lock } = collection.create('a', 2, 'alice@R');
    const client = { cancellables: new Set<Cancellable>() };
    const ask = (type: number) => expect(lock.lock(client, type, false)).toBeUndefined();
    ask(lockTypes.read);
    for (let i = 0; i < 100; i++) {
      for (const type of [lockTypes.upgrade, lockTypes.downgrade]) ask(type);
      expect(client.cancellables.size).toBe(1);
    }
    lock.unlock(client);
    expect(client.cancellables.size).toBe(0);
  });
});

describe('names and principals', () => {
  const long = (length: number) => 'x'.repeat(length);
  const failing = (name: string) => expect.objectContaining({ name });

  it.each<[string, string, (collection: Collection, ccache: CCache) => unknown]>([
    ['a name', 'ccErrBadName', (c) => c.create(long(4097), 2, 'a@R')],
    ['a name to move to', 'ccErrBadName', (c, a) => c.moveTo(a, long(4097))],
    ['a name that is awaited', 'ccErrBadName', (c) => c.awaitDefault(long(4097))],
    ['a principal', 'ccErrBadParam', (c) => c.create('b', 2, long(65_537))],
    ['a principal that is set', 'ccErrBadParam', (c, a) => c.setPrincipal(a, 2, long(65_537))],
    ['a client', 'ccErrBadParam', (c, a) => c.store(a, { ...credentialFor('s@R'), client: long(65_537) })],
    ['a service', 'ccErrBadParam', (c, a) => c.store(a, credentialFor(long(65_537)))],
  ])('%s that is too long is refused with %s, and nothing changes', (_, name, change) => {
    const { collection } = collectionAt(1_700_000_000);
    const ccache = collection.create('a', 2, 'a@R');
    const before = [collection.changed, collection.size, collection.nextUnique];
    expect(() => change(collection, ccache)).toThrow(failing(name));
    expect([collection.changed, collection.size, collection.nextUnique]).toEqual(before);
    expect([...collection].map((one) => [one.name, one.contents.principal, one.contents.credentials.size])).toEqual([
      ['a', 'a@R', 0],
    ]);
  });

  it('may be as long as the limit', () => {
    const { collection } = collectionAt(1_700_000_000);
    const ccache = collection.create(long(4096), 2, long(65_536));
    collection.store(ccache, credentialFor(long(65_536)));
    expect(ccache.contents.credentials.size).toBe(1);
  });

  it('are refused over KCM with its own errors', () => {
    const { collection } = collectionAt(1_700_000_000);
    const session = new KCMSession(
      { collection, names: new KCMNames(collection, 1) },
      { info() {}, warning() {}, error() {}, refusal() {} },
    );
    /** INITIALIZE: a name, then a principal of one component. */
    const initialize = (name: string, component: number) => {
      const principal = Buffer.alloc(16);
      for (const [at, value] of [
        [0, 1],
        [4, 1],
        [8, 0],
        [12, component],
      ] as const)
        principal.writeUInt32BE(value, at);
      const frame = Buffer.concat([
        Buffer.from('02000004', 'hex'),
        Buffer.from(`${name}\0`),
        principal,
        Buffer.alloc(component, 'x'),
      ]);
      return new CCAPIError(session.answer(frame).readInt32BE(8)).name;
    };
    expect(initialize(long(4097), 1)).toBe('KRB5_CC_BADNAME');
    expect(initialize('a', 65_537)).toBe('KRB5_CC_FORMAT');
    expect(initialize('a', 65_536)).toBe('KRB5_CC_FORMAT');
    expect(initialize('a', 65_000)).toBe('error 0');
  });
});
