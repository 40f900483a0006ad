// What is kept of a collection, and what is left of it after an end at any moment.
import {
  closeSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CredentialV5 } from '../../../proto/credential-v5.ts';
import type { CCache, Contents } from '../../../server/ccache.ts';
import { Collection } from '../../../server/collection.ts';
import { Store } from '../../../server/storage/file-storage.ts';
import { credentialV5 } from '../../proto/arbitrary.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { run } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';
import { credentialFor } from '../model.ts';

let directory: string;
let said: string[];
const clock = { now: 1_700_000_000 };
const log = {
  info: (line: string) => void said.push(`info ${line}`),
  warning: (line: string) => void said.push(`warning ${line}`),
  error: (line: string) => void said.push(`error ${line}`),
  refusal() {},
};

beforeEach(() => {
  directory = join(temporaryDirectory(), 'caches');
  said = [];
});

function open(at = directory, sync = false): { collection: Collection; store: Store } {
  const store = new Store(at, sync, log);
  const { identifiers, kept } = store.load(() => clock.now);
  const collection = new Collection(identifiers, () => clock.now);
  store.attach(collection, kept);
  return { collection, store };
}

/** All that a client can see of a collection but the times of its changes, which may be later ones after a restart. */
function seen(collection: Collection) {
  return {
    identifier: collection.identifier,
    nextUnique: collection.nextUnique,
    awaited: collection.awaitedDefault,
    ccaches: [...collection].map(({ identifier, name, lastDefault, contents }) => ({
      identifier,
      name,
      lastDefault,
      principal: contents.principal,
      nameType: contents.nameType,
      kdcOffset: contents.kdcOffset,
      numbered: contents.credentials.numbered,
      credentials: [...contents.credentials].map((stored) => structuredClone([stored.identifier, stored.value])),
    })),
  };
}

const times = (collection: Collection) => [collection.changed, ...[...collection].map(({ changed }) => changed)];

/** As it would be found now if the process were killed. */
function afterKill(): Collection {
  const copy = join(temporaryDirectory(), 'caches');
  cpSync(directory, copy, { recursive: true });
  const { collection, store } = open(copy);
  store.close();
  return collection;
}

type Step = { what: string; one: number; other: number; text: string; credential: CredentialV5 };

const step = fc.record<Step>({
  what: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('store', 'replacing', 'create', 'replace') },
    {
      weight: 1,
      arbitrary: fc.constantFrom(
        'new',
        'default',
        'destroy',
        'move',
        'moveTo',
        'principal',
        'offset',
        'remove',
        'await',
        'tick',
      ),
    },
  ),
  one: fc.nat(10),
  other: fc.nat(10),
  text: fc.oneof(fc.constantFrom('a', 'b', 'c', '', 'x/y', '\udcff'), fc.string({ maxLength: 8 })),
  credential: credentialV5,
});

function take(collection: Collection, { what, one, other, text, credential }: Step): void {
  const all = [...collection];
  const [ccache, second] = [all[one % all.length], all[other % all.length]];
  const list = [...(ccache?.contents.credentials ?? [])];
  const steps: Record<string, () => unknown> = {
    create: () => collection.create(text, 2, `${text}@R`),
    new: () => collection.createNew(2, text),
    replace: () => {
      const contents: Contents = { ...collection.emptyContents(`${text}@R`), nameType: one, kdcOffset: other };
      for (let i = 0; i < other % 3; i++) contents.credentials.append(structuredCopy(credential));
      return collection.replace(text, contents);
    },
    await: () => collection.awaitDefault(other % 3 === 0 ? undefined : text),
    tick: () => (clock.now += one),
    store: () => ccache && collection.store(ccache, credential),
    replacing: () => ccache && collection.store(ccache, credential, list.slice(one % 4, (one % 4) + (other % 3))),
    remove: () =>
      ccache &&
      list.length > 0 &&
      collection.remove(ccache, [(list[other % list.length] as (typeof list)[0]).identifier]),
    default: () => ccache && collection.setDefault(ccache),
    destroy: () => ccache && collection.destroy(ccache),
    move: () => ccache && second && ccache !== second && collection.move(ccache, second),
    moveTo: () => ccache && collection.moveTo(ccache, text),
    principal: () => ccache && collection.setPrincipal(ccache, 2, text),
    offset: () => ccache && collection.setKDCOffset(ccache, one === 0 ? undefined : other >>> 0),
  };
  steps[what]?.();
}

function ifThereIsRoom(change: () => void): void {
  try {
    change();
  } catch (error) {
    expect(error).toMatchObject({ name: 'ccErrNoMem', message: expect.stringMatching(/^max_\w+ = \d is reached$/) });
  }
}

/** The model wipes what it drops, so nothing may be in it twice. */
function structuredCopy(credential: CredentialV5): CredentialV5 {
  const copied = (data: { type: number; data: Buffer }) => ({ type: data.type, data: Buffer.from(data.data) });
  const { keyblock, ticket, secondTicket } = credential;
  return { ...credential, keyblock: copied(keyblock), ticket: copied(ticket), secondTicket: copied(secondTicket) };
}

describe('a collection that is kept', () => {
  it.each([
    ['', {}],
    [', at its limits', { caches: 3, credentials: 4 }],
  ])('is the same after each of any steps%s, with every identifier, and no time is earlier', (_, most) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), (steps) => {
        directory = join(temporaryDirectory(), 'caches');
        const { collection, store } = open();
        collection.limits.most = { ...collection.limits.most, ...most };
        for (const each of steps) {
          ifThereIsRoom(() => take(collection, each));
          const found = afterKill();
          // The name of one that was refused is not given out again, but for after a kill.
          const { nextUnique } = 'caches' in most ? collection : found;
          expect({ ...seen(found), nextUnique }).toEqual(seen(collection));
          for (const [i, time] of times(collection).entries()) expect(times(found)[i]).toBeGreaterThanOrEqual(time);
        }
        store.close();
        const found = afterKill();
        expect([seen(found), times(found)]).toEqual([seen(collection), times(collection)]);
        expect(said).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('gives out no identifier twice, also not one of what is gone', () => {
    const ever = new Set<string>();
    for (let life = 0; life < 5; life++) {
      const { collection } = open();
      const ccache = collection.create('a', 2, 'a@R');
      for (let i = 0; i < 5; i++) collection.store(ccache, credentialFor(`${i}@R`));
      const identifiers = [...ccache.contents.credentials].map(({ identifier }) => identifier);
      collection.remove(ccache, identifiers.slice(2));
      const other = collection.create('b', 2, 'b@R');
      for (const { object } of [...identifiers, other.identifier, collection.identifierOfPassing()]) {
        expect(ever.has(object)).toBe(false);
        ever.add(object);
      }
      collection.destroy(other);
    }
  });
});

describe('an end in the middle of a write', () => {
  /** Each state that the file of the only ccache can be left in, cut anywhere behind what it had before. */
  function cutEverywhere(change: (collection: Collection, ccache: CCache) => void): void {
    const { collection } = open();
    const ccache = collection.create('a', 2, 'a@R');
    for (const service of ['x', 'y', 'z']) collection.store(ccache, credentialFor(`${service}@R`));
    const [before] = [seen(collection)];
    const name = readdirSync(directory).find((file) => file.startsWith('tkt')) as string;
    const whole = readFileSync(join(directory, name));
    change(collection, ccache);
    const after = seen(collection);
    const grown = readFileSync(join(directory, name));
    for (let length = whole.length; length <= grown.length; length++) {
      const copy = join(temporaryDirectory(), 'caches');
      cpSync(directory, copy, { recursive: true });
      // What is overwritten in its place comes after what is added.
      const cut = length < grown.length ? Buffer.concat([whole, grown.subarray(whole.length, length)]) : grown;
      writeFileSync(join(copy, name), cut);
      const { collection: found } = open(copy);
      expect(seen(found)).toEqual(length < grown.length ? before : after);
      expect(statSync(join(copy, name)).size).toBe(length < grown.length ? whole.length : grown.length);
      // And it goes on from there.
      found.store(found.named('a') as CCache, credentialFor('more@R'));
      expect([...(open(copy).collection.named('a') as CCache).contents.credentials].at(-1)?.value.server).toBe(
        'more@R',
      );
    }
  }

  it('of a credential leaves all of it or nothing', () => {
    cutEverywhere((collection, ccache) => collection.store(ccache, credentialFor('new@R')));
  });

  it('of a credential that replaces two leaves those or that', () => {
    cutEverywhere((collection, ccache) =>
      collection.store(ccache, credentialFor('new@R'), [...ccache.contents.credentials].slice(0, 2)),
    );
  });

  it('of a removal leaves what was to be removed, or not', () => {
    cutEverywhere((collection, ccache) => {
      const [first, , third] = [...ccache.contents.credentials].map(({ identifier }) => identifier);
      if (first && third) collection.remove(ccache, [first, third]);
    });
  });

  it('of the journal leaves what the whole lines say, and every ccache that has a file', () => {
    const { collection } = open();
    const states = [seen(collection)];
    const ends = [statSync(join(directory, 'journal')).size];
    for (const change of [
      () => collection.create('a', 2, 'a@R'),
      () => collection.create('b', 2, 'b@R'),
      () => collection.setDefault(collection.named('b') as CCache),
      () => collection.setKDCOffset(collection.named('a') as CCache, 7),
    ]) {
      change();
      states.push(seen(collection));
      ends.push(statSync(join(directory, 'journal')).size);
    }
    for (let length = ends[0] as number; length <= (ends.at(-1) as number); length++) {
      const copy = join(temporaryDirectory(), 'caches');
      cpSync(directory, copy, { recursive: true });
      truncateSync(join(copy, 'journal'), length);
      const reached = ends.filter((end) => end <= length).length - 1;
      const found = seen(open(copy).collection);
      expect(found.ccaches.map(({ name, principal }) => `${name} ${principal}`).sort()).toEqual(['a a@R', 'b b@R']);
      // Both are in the journal from its third line on.
      if (reached >= 2) expect(found).toEqual(states[reached]);
    }
  });
});

describe('what cannot be read', () => {
  it('a list is set aside, and the ccache is there without tickets', () => {
    const { collection } = open();
    collection.store(collection.create('a', 2, 'a@R'), credentialFor('s@R'));
    collection.store(collection.create('b', 2, 'b@R'), credentialFor('s@R'));
    const [name] = readdirSync(directory).filter((file) => file.startsWith('tkt'));
    writeFileSync(join(directory, name as string), 'no ccache');
    const { collection: found } = open();
    expect([...found].map((ccache) => [ccache.name, ccache.contents.credentials.size])).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
    const aside = readdirSync(directory).find((file) => file.startsWith(`set-aside.${name}`)) as string;
    expect(readFileSync(join(directory, aside), 'utf8')).toBe('no ccache');
    expect(said).toEqual([expect.stringContaining(`it is set aside as ${aside}`)]);
    found.store(found.named('a') as CCache, credentialFor('again@R'));
    expect(seen(open().collection)).toEqual(seen(found));
  });

  it('the journal is set aside, and the ccaches are made of their files', () => {
    const { collection } = open();
    for (const name of ['a', 'b']) {
      collection.store(collection.create(name, 2, `${name}@R`), credentialFor(`${name}s@R`));
    }
    for (const damage of ['{"made":', 'x\n', '{"unknown":1}\n', '{"destroyed":99}\n']) {
      writeFileSync(join(directory, 'journal'), `${damage}\n`);
      const { collection: found } = open();
      expect([...found].map(({ name, contents }) => [name, contents.principal, contents.credentials.size])).toEqual([
        ['a', 'a@R', 1],
        ['b', 'b@R', 1],
      ]);
      expect(seen(open().collection)).toEqual(seen(found));
    }
    expect(said.join()).toContain('the journal is lost; 2 ccaches are taken from their files');
  });

  it('what is not ours stays where it is; what a change left behind that did not happen does not', () => {
    const { collection } = open();
    collection.create('a', 2, 'a@R');
    const [name] = readdirSync(directory).filter((file) => file.startsWith('tkt'));
    writeFileSync(join(directory, 'tktforeign'), 'whatever');
    mkdirSync(join(directory, 'notes'));
    // As a replacement leaves it that was cut off before its line was in the journal.
    copyFileSync(join(directory, name as string), join(directory, 'tkt9'));
    const bytes = readFileSync(join(directory, 'tkt9'));
    writeFileSync(join(directory, 'tkt9'), bytes.toString('latin1').replace('"list":1', '"list":9'), 'latin1');
    open();
    expect(readdirSync(directory).sort()).toEqual(['journal', 'notes', 'primary', name, 'tktforeign'].sort());
  });
});

describe('the files', () => {
  it('do not grow with what is removed, nor the journal with what is over', () => {
    const { collection } = open();
    const ccache = collection.create('a', 2, 'a@R');
    const first = { ...credentialFor('first@R') };
    collection.store(ccache, first);
    for (let i = 0; i < 5000; i++) {
      collection.store(ccache, credentialFor(`${i}@R`), [...ccache.contents.credentials].slice(1));
      collection.setKDCOffset(ccache, i);
    }
    const sizes = readdirSync(directory).map((file) => statSync(join(directory, file)).size);
    expect(Math.max(...sizes)).toBeLessThan(250_000);
    expect(seen(open().collection)).toEqual(seen(collection));
  });

  it('are not many at a time, with however many ccaches', () => {
    const { collection } = open();
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 300; i++) collection.create(`${i}`, 2, 'a@R');
    for (const ccache of collection) collection.store(ccache, credentialFor('s@R'));
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(50);
    expect(seen(open().collection)).toEqual(seen(collection));
  });

  it('hold nothing of what was removed, replaced or destroyed', () => {
    const { collection } = open();
    const ccache = collection.create('a', 2, 'a@R');
    const secret = (name: string) => ({
      ...credentialFor(`${name}@R`),
      keyblock: { type: 18, data: Buffer.from(`secret of ${name}`) },
    });
    collection.store(ccache, secret('removed'));
    // A form that only the CCAPI has.
    collection.store(ccache, { ...secret('odd'), isSkey: 256 });
    collection.store(ccache, secret('replaced'));
    const files = () =>
      readdirSync(directory)
        .map((file) => readFileSync(join(directory, file), 'latin1'))
        .join();
    expect(files().match(/secret of \w+/g)).toHaveLength(3);
    const [removed, odd, replaced] = [...ccache.contents.credentials];
    if (removed && odd && replaced) {
      collection.remove(ccache, [removed.identifier, odd.identifier]);
      collection.store(ccache, secret('destroyed'), [replaced]);
    }
    expect(files().match(/secret of \w+/g)).toEqual(['secret of destroyed']);
    const name = readdirSync(directory).find((file) => file.startsWith('tkt')) as string;
    const descriptor = openSync(join(directory, name), 'r');
    collection.destroy(ccache);
    expect(existsSync(join(directory, name))).toBe(false);
    const left = Buffer.alloc(10_000);
    expect(left.toString('latin1', 0, readSync(descriptor, left))).toMatch(/^\0+$/);
    closeSync(descriptor);
  });
});

it('what a change left that was cut off is overwritten, a copy that somebody made stays', () => {
  const { collection } = open();
  collection.store(collection.create('a', 2, 'a@R'), credentialFor('s@R'));
  const name = readdirSync(directory).find((file) => file.startsWith('tkt')) as string;
  const bytes = readFileSync(join(directory, name));
  writeFileSync(join(directory, 'new'), bytes);
  writeFileSync(join(directory, 'tkt9'), bytes.toString('latin1').replace('"list":1', '"list":9'), 'latin1');
  writeFileSync(join(directory, 'tkt8'), bytes);
  const descriptors = ['new', 'tkt9'].map((file) => openSync(join(directory, file), 'r'));
  open();
  expect(readdirSync(directory).sort()).toEqual(['journal', 'primary', name, 'tkt8'].sort());
  for (const descriptor of descriptors) {
    const left = Buffer.alloc(bytes.length);
    expect(readSync(descriptor, left)).toBe(bytes.length);
    expect(left.every((byte) => byte === 0)).toBe(true);
    closeSync(descriptor);
  }
});

it('is kept the same way where each change reaches the disk first', () => {
  const { collection } = open(directory, true);
  const ccache = collection.create('a', 2, 'a@R');
  for (const service of ['s', 't', 'u']) collection.store(ccache, credentialFor(`${service}@R`));
  collection.remove(
    ccache,
    [...ccache.contents.credentials].slice(1).map(({ identifier }) => identifier),
  );
  collection.destroy(collection.create('b', 2, 'b@R'));
  expect(seen(open().collection)).toEqual(seen(collection));
});

describeWith(['krb5-user'], 'stock klist', () => {
  it('reads them as a DIR collection', async () => {
    const { collection } = open();
    const ccaches = ['alice', 'bob'].map((name) => collection.create(name, 2, `${name}@R`));
    for (const [i, ccache] of ccaches.entries()) {
      collection.store(ccache, credentialFor(`host/${i}@R`, 4_000_000_000));
      collection.store(ccache, { ...credentialFor(`gone/${i}@R`), keyblock: { type: 18, data: Buffer.alloc(16) } });
      // What only the CCAPI can have is passed over.
      collection.store(ccache, { ...credentialFor('no principal'), ticket: { type: 7, data: Buffer.alloc(3) } });
      const gone = [...ccache.contents.credentials][1];
      if (gone) collection.remove(ccache, [gone.identifier]);
    }
    collection.setDefault(ccaches[1] as CCache);
    const named = (text: string) => text.match(/(?<=principal: )\S+|host\S+/g);
    const klist = async (...args: string[]) => named((await run('/usr/bin/klist', args)).stdout);
    expect(await klist('-c', `DIR:${directory}`)).toEqual(['bob@R', 'host/1@R']);
    expect(await klist('-A', '-c', `DIR:${directory}`)).toEqual(['bob@R', 'host/1@R', 'alice@R', 'host/0@R']);
  });
});
