// What is stored of a collection, and what is left of it after an end at any moment.
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  cpSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  rmSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { readCCacheFile, writeCCacheFile } from '../../../proto/ccache-file.ts';
import type { CredentialV5 } from '../../../proto/credential.ts';
import type { Identifier } from '../../../proto/identifier.ts';
import { credentialV5In, fromCredentialV5, type Krb5Credential, marshalled } from '../../../proto/krb5-credential.ts';
import type { CCache, Contents } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import type { StoredCredential } from '../../../server/model/credential-list.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { credentialV5 } from '../../proto/arbitrary.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { run } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';
import { credentialFor } from '../model/model.ts';

let directory: string;
let said: string[];
const clock = { now: 1_700_000_000 };
const log = {
  info: (line: string) => void said.push(`info ${line}`),
  warning: (line: string) => void said.push(`warning ${line}`),
  error: (line: string) => void said.push(`error ${line}`),
  refusal() {},
};

const root = temporaryDirectory(memory);
let directories = 0;

/** The path of a directory that is yet to be made. */
function freshDirectory(): string {
  const path = join(root, `${directories++}`);
  mkdirSync(path);
  return join(path, 'caches');
}

beforeEach(() => {
  directory = freshDirectory();
  said = [];
});

function open(at = directory, sync = false): { collection: Collection; storage: FileStorage } {
  const storage = new FileStorage(at, sync, log);
  const { identifiers, kept } = storage.load(() => clock.now);
  const collection = new Collection(identifiers, () => clock.now);
  storage.attach(collection, kept);
  return { collection, storage };
}

/** All that a client can see of a collection but the times of its changes, which may be later ones after a restart. */
function seen(collection: Collection) {
  return {
    identifier: collection.identifier,
    awaited: collection.awaitedDefault,
    ccaches: [...collection].map(({ identifier, name, lastDefault, contents }) => ({
      identifier,
      name,
      lastDefault,
      principal: contents.principal,
      nameType: contents.nameType,
      kdcOffset: contents.kdcOffset,
      numbered: contents.credentials.nextIndex,
      credentials: [...contents.credentials].map((stored) => structuredClone([stored.identifier, stored.value])),
    })),
  };
}

const times = (collection: Collection) => [collection.changed, ...[...collection].map(({ changed }) => changed)];

/** As it would be found now if the process were killed. */
function afterKill(): Collection {
  const copy = freshDirectory();
  cpSync(directory, copy, { recursive: true });
  const { collection, storage } = open(copy);
  storage.close();
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

describe('a collection that is stored', () => {
  it.each([
    ['', {}],
    [', at its limits', { caches: 3, credentials: 4 }],
  ])('is the same after each of any steps%s, with every identifier, and no time is earlier', (_, most) => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 1, maxLength: 40, size: 'max' }), (steps) => {
        directory = freshDirectory();
        const { collection, storage } = open();
        collection.limits.most = { ...collection.limits.most, ...most };
        for (const each of steps) {
          ifThereIsRoom(() => take(collection, each));
          const found = afterKill();
          expect(seen(found)).toEqual(seen(collection));
          // The name of one that was refused is not given out again, but for after a kill.
          if (!('caches' in most)) expect(found.nextUnique).toBe(collection.nextUnique);
          for (const [i, time] of times(collection).entries()) expect(times(found)[i]).toBeGreaterThanOrEqual(time);
        }
        storage.close();
        const found = afterKill();
        expect([seen(found), times(found)]).toEqual([seen(collection), times(collection)]);
        expect(found.nextUnique).toBe(collection.nextUnique);
        expect(said).toEqual([]);
      }),
      { numRuns: 60 },
    );
  });

  it('has times that never fall, also where the clock does, before a restart and after it', () => {
    const wasAt = clock.now;
    try {
      let [last, lastOfA] = [0, 0];
      for (const [life, step] of [0, -1_000_000, 5, -3600, 100_000, -100_000, 0].entries()) {
        clock.now += step;
        const { collection, storage } = open();
        expect(collection.changed).toBeGreaterThanOrEqual(last);
        const a = collection.findByName('a') ?? collection.create('a', 2, 'a@R');
        expect(a.changed).toBeGreaterThanOrEqual(lastOfA);
        for (let i = 0; i < 100; i++) {
          if (i === 50) clock.now -= 10_000;
          collection.setKDCOffset(a, i);
          if (i % 7 === 0) collection.setDefault(collection.createNew(2, 'n@R'));
          expect(a.changed).toBeGreaterThan(lastOfA);
          [last, lastOfA] = [collection.changed, a.changed];
        }
        if (life % 3 === 0) storage.close();
      }
    } finally {
      clock.now = wasAt;
    }
  });

  it('has times that never fall, wherever in a long row of changes it is killed', () => {
    const { collection } = open();
    const a = collection.create('a', 2, 'a@R');
    for (let i = 0; i < 500; i++) {
      collection.move(collection.create('b', 2, 'b@R'), a);
      const found = afterKill();
      expect(found.changed).toBeGreaterThanOrEqual(collection.changed);
      expect(found.findByName('a')?.changed).toBeGreaterThanOrEqual(a.changed);
    }
  });

  it('has its identifiers still at the end of the time that 32 bits have', () => {
    const wasAt = clock.now;
    clock.now = 0xffff_fff0;
    try {
      const { collection } = open();
      for (const name of ['a', 'b']) collection.create(name, 2, 'a@R');
      expect(seen(open().collection)).toEqual(seen(collection));
    } finally {
      clock.now = wasAt;
    }
  });

  it('gives out no identifier twice, also not one of what is gone', () => {
    const ever = new Set<string>();
    for (let life = 0; life < 5; life++) {
      const { collection, storage } = open();
      const ccache = collection.create('a', 2, 'a@R');
      for (let i = 0; i < 5; i++) collection.store(ccache, credentialFor(`${i}@R`));
      const identifiers = [...ccache.contents.credentials].map(({ identifier }) => identifier);
      collection.remove(ccache, identifiers.slice(2));
      const other = collection.create('b', 2, 'b@R');
      const unique = collection.createNew(2, 'c@R');
      const given = [...identifiers, other.identifier, unique.identifier, collection.transientIdentifier()];
      for (const text of [...given.map(({ object }) => object), life > 0 && unique.name]) {
        expect(ever.has(String(text))).toBe(false);
        ever.add(String(text));
      }
      collection.destroy(other);
      collection.destroy(unique);
      // Many, of which no file tells afterwards: ccaches, then lists alone.
      for (let i = 0; i < 1000; i++) {
        const churn = collection.create('churn', 2, 'c@R');
        collection.store(churn, credentialFor('s@R'));
        const [stored] = churn.contents.credentials;
        const { object } = (stored as StoredCredential).identifier;
        expect(ever.has(object)).toBe(false);
        expect(i < 500 && ever.has(churn.identifier.object)).toBe(false);
        ever.add(object).add(churn.identifier.object);
        if (i < 500 || i === 999) collection.destroy(churn);
      }
      if (life % 2 === 0) storage.close();
    }
  });
});

it.each([1, 2, 63, 64, 65, 150])(
  'numbers no list twice where it is killed after every %i replacements',
  (replacements) => {
    const ever = new Set<string>();
    for (let life = 0; life < 6; life++) {
      // What ran before is neither closed nor used again.
      const { collection } = open();
      const [left] = collection.findByName('a')?.contents.credentials ?? [];
      expect(life % 3 === 1 || left === undefined || ever.has(left.identifier.object)).toBe(true);
      for (let i = 0; i < replacements; i++) {
        const ccache = collection.create('a', 2, 'a@R');
        collection.store(ccache, credentialFor('s@R'));
        const [stored] = ccache.contents.credentials;
        const { object } = (stored as StoredCredential).identifier;
        expect(ever).not.toContain(object);
        expect(ccache.contents.credentials.find(object)).toBe(stored);
        ever.add(object);
      }
      // Then no file tells of the lists.
      if (life % 3 === 0) for (const ccache of [...collection]) collection.destroy(ccache);
    }
    expect(ever.size).toBe(6 * replacements);
  },
);

describe('an end in the middle of a write', () => {
  /** Each state that the file of a ccache can be left in, cut anywhere behind what it had before. */
  function cutEverywhere(change: (collection: Collection, ccache: CCache) => void, changed = 'a'): void {
    directory = freshDirectory();
    const { collection } = open();
    const ccache = collection.create('a', 2, 'a@R');
    collection.create('b', 2, 'b@R');
    for (const service of ['x', 'y', 'z']) collection.store(ccache, credentialFor(`${service}@R`));
    const [before] = [seen(collection)];
    const name = fileOf(changed);
    const whole = readFileSync(join(directory, name));
    change(collection, ccache);
    const after = seen(collection);
    const grown = readFileSync(join(directory, name));
    for (let length = whole.length; length <= grown.length; length++) {
      const copy = freshDirectory();
      cpSync(directory, copy, { recursive: true });
      // What is overwritten in its place comes after what is added.
      const cut = length < grown.length ? Buffer.concat([whole, grown.subarray(whole.length, length)]) : grown;
      writeFileSync(join(copy, name), cut);
      const { collection: found } = open(copy);
      expect(seen(found)).toEqual(length < grown.length ? before : after);
      expect(statSync(join(copy, name)).size).toBe(length < grown.length ? whole.length : grown.length);
      const torn = length < grown.length ? length - whole.length : 0;
      expect(said).toEqual(torn > 0 ? [expect.stringContaining(`dropping ${torn} bytes of a half-written`)] : []);
      said = [];
      // And it goes on from there.
      found.store(found.findByName('a') as CCache, credentialFor('more@R'));
      expect([...(open(copy).collection.findByName('a') as CCache).contents.credentials].at(-1)?.value.server).toBe(
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

  it('of a new default or KDC offset leaves the former one or that', () => {
    cutEverywhere((collection) => collection.setDefault(collection.findByName('b') as CCache), 'b');
    cutEverywhere((collection, ccache) => collection.setKDCOffset(ccache, 7));
  });
});

/** The name of the file that is a ccache's. */
function fileOf(ccache: string, at = directory): string {
  const found = readdirSync(at).filter(
    (file) => file.startsWith('tkt') && readFileSync(join(at, file)).includes(`"name":"${ccache}"`),
  );
  expect(found).toHaveLength(1);
  return found[0] as string;
}

/** What names the credentials of a ccache. */
const objectsOf = ({ contents }: CCache) => [...contents.credentials].map(({ identifier }) => identifier.object);

describe('what cannot be read', () => {
  it('a file is set aside, and costs no other', () => {
    const { collection } = open();
    collection.store(collection.create('a', 2, 'a@R'), credentialFor('s@R'));
    collection.store(collection.create('b', 2, 'b@R'), credentialFor('s@R'));
    const name = fileOf('a');
    writeFileSync(join(directory, name), 'no ccache');
    const { collection: found } = open();
    expect([...found].map((ccache) => [ccache.name, ccache.contents.credentials.size])).toEqual([['b', 1]]);
    const aside = readdirSync(directory).find((file) => file.startsWith(`set-aside.${name}`)) as string;
    expect(readFileSync(join(directory, aside), 'utf8')).toBe('no ccache');
    expect(said).toEqual([expect.stringContaining(`set aside as ${aside}`)]);
    found.store(found.create('a', 2, 'a@R'), credentialFor('again@R'));
    expect(seen(open().collection)).toEqual(seen(found));
    expect(readFileSync(join(directory, aside), 'utf8')).toBe('no ccache');
  });

  it('the collection file is set aside, and all but the identifiers is in the files of the ccaches', () => {
    for (const damage of ['', '{}', 'x\n', '{"ccapi":2}\t00000000\n', undefined]) {
      directory = freshDirectory();
      const { collection } = open();
      for (const name of ['a', 'b', 'c']) {
        collection.store(collection.create(name, 2, `${name}@R`), credentialFor(`${name}s@R`));
      }
      collection.setDefault(collection.findByName('b') as CCache);
      collection.setKDCOffset(collection.findByName('c') as CCache, 7);
      if (damage === undefined) rmSync(join(directory, 'collection'));
      else writeFileSync(join(directory, 'collection'), damage);
      const { collection: found } = open();
      const said = (of: Collection) =>
        [...of].map(({ name, lastDefault, contents: { principal, kdcOffset, credentials } }) => [
          ...[name, lastDefault, principal, kdcOffset],
          [...credentials].map(({ value }) => value.server),
        ]);
      expect(said(found)).toEqual(said(collection));
      expect(found.identifier.server).not.toBe(collection.identifier.server);
      expect(seen(open().collection)).toEqual(seen(found));
      // The numbers of the lists go on above those in the files.
      rmSync(join(directory, 'collection'));
      const { collection: later } = open();
      for (const name of ['d', 'e', 'f', 'g']) later.store(later.create(name, 2, 'd@R'), credentialFor('s@R'));
      const stored = [...later].flatMap(({ contents }) => [...contents.credentials]);
      expect(new Set(stored.map(({ identifier }) => identifier.object)).size).toBe(7);
    }
    expect(said.join()).toContain('no collection file; 3 ccaches are taken from their own');
    expect(said.join()).toContain('set aside as set-aside.collection.');
  });

  it.each([
    ['"name":"a"', '"name":"b"'],
    ['krb5_ccache_conf_data', 'krb5_ccache_conf_dat_'],
    ['ccapi_ccache', 'ccapi_ccachf'],
  ])('a heading, with %s for %s, costs the name and no ticket', (part, damage) => {
    const { collection } = open();
    collection.store(collection.create('a', 2, 'a@R'), credentialFor('s@R'));
    const path = join(directory, fileOf('a'));
    writeFileSync(path, readFileSync(path).toString('latin1').replace(part, damage), 'latin1');
    const { collection: found } = open();
    expect([...found].map(({ name, contents }) => [name, contents.principal, contents.credentials.size])).toEqual([
      ['tkt1', 'a@R', 1],
    ]);
    expect(seen(open().collection)).toEqual(seen(found));
  });
});

it('an entry that is damaged costs none that follows it', () => {
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a@R');
  for (const isSkey of [256, 0]) collection.store(ccache, { ...credentialFor(`${isSkey}@R`), isSkey });
  const [odd] = ccache.contents.credentials;
  collection.remove(ccache, [(odd as StoredCredential).identifier]);
  const path = join(directory, fileOf('a'));
  const bytes = readFileSync(path).toString('latin1');
  expect(bytes).toContain('ccapi_void');
  // What was removed is zeros, which are no credential.
  writeFileSync(path, bytes.replace('ccapi_void', 'ccapi_cred'), 'latin1');
  expect(seen(open().collection)).toEqual(seen(collection));
});

it('a heading that is lost costs the identifiers of its tickets, which become those of no former ticket', () => {
  const { collection } = open();
  const given = ['a', 'a', 'a', 'b'].flatMap((name) => {
    const ccache = collection.create(name, 2, 'a@R');
    collection.store(ccache, credentialFor('s@R'));
    return objectsOf(ccache);
  });
  const path = join(directory, fileOf('b'));
  writeFileSync(path, readFileSync(path).toString('latin1').replace('"name":"b"', '"name":"c"'), 'latin1');
  const { collection: found } = open();
  expect(given).not.toContain(objectsOf(found.findByName('tkt2') as CCache)[0]);
  expect(seen(open().collection)).toEqual(seen(found));
});

describe('what is not ours', () => {
  it('stays where it is: copies, files of stock programs, and others', () => {
    const { collection } = open();
    collection.create('a', 2, 'a@R');
    const bytes = readFileSync(join(directory, fileOf('a')));
    const stock = writeCCacheFile({
      kdcOffset: { seconds: 0, microseconds: 0 },
      otherTags: [],
      principal: { nameType: 1, realm: 'R', components: ['a'] },
      credentials: [],
    });
    const foreign: Record<string, Buffer> = {
      tkt9: bytes,
      tkt8: stock,
      tkt7: stock.subarray(0, 16),
      tktForeign: Buffer.from('whatever'),
      journal: Buffer.from('of version 0.1'),
    };
    for (const [name, contents] of Object.entries(foreign)) writeFileSync(join(directory, name), contents);
    mkdirSync(join(directory, 'notes'));
    const { collection: found, storage } = open();
    expect([...found].map(({ name }) => name)).toEqual(['a']);
    for (let i = 0; i < 50; i++) found.create(`${i}`, 2, 'a@R');
    for (let i = 0; i < 50; i++) found.destroy(found.findByName(`${i}`) as CCache);
    storage.close();
    expect(readdirSync(directory).sort()).toEqual(
      ['collection', 'notes', 'primary', 'tkt1', ...Object.keys(foreign)].sort(),
    );
    for (const [name, contents] of Object.entries(foreign)) {
      expect(readFileSync(join(directory, name)).equals(contents), name).toBe(true);
    }
    expect(said).toEqual([]);
  });

  it('but has the name or the list of another ccache, as an old copy that came back, gets one of its own', () => {
    const { collection, storage } = open();
    collection.store(collection.create('a', 2, 'a@R'), credentialFor('old@R'));
    const copy = readFileSync(join(directory, 'tkt1'));
    collection.moveTo(collection.findByName('a') as CCache, 'b');
    collection.create('a', 2, 'a@R');
    storage.close();
    writeFileSync(join(directory, 'tkt1'), copy);
    const { collection: found } = open();
    expect([...found].map(({ name }) => name).sort()).toEqual(['a', 'a (1)', 'b']);
    expect(new Set([...found].flatMap(objectsOf)).size).toBe(2);
    expect(seen(open().collection)).toEqual(seen(found));
    // Also once there are others.
    for (let i = 0; i < 100; i++) found.create(`${i}`, 2, 'a@R');
    expect(seen(open().collection)).toEqual(seen(found));
  });
});

describe('the files', () => {
  it('do not grow from worker to worker', () => {
    for (let life = 0; life < 40; life++) {
      const { collection, storage } = open();
      const ccache = collection.findByName('a') ?? collection.create('a', 2, 'a@R');
      for (let i = 0; i < 50; i++) {
        const ticket = { type: 0, data: Buffer.alloc(500) };
        collection.store(ccache, { ...credentialFor('s@R'), ticket }, [...ccache.contents.credentials]);
      }
      storage.close();
    }
    expect(statSync(join(directory, 'tkt1')).size).toBeLessThan(250_000);
  });

  it('do not grow with what is removed, nor with what is over', () => {
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
    // The next worker writes all of them anew.
    for (const name of readdirSync(directory)) chmodSync(join(directory, name), 0o644);
    expect(seen(open().collection)).toEqual(seen(collection));
    expect(readdirSync('/proc/self/fd').length - before).toBeLessThan(100);
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

it.each([false, true])('a credential that looks like an entry of ours is a credential (by KCM: %s)', (byKCM) => {
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a@R');
  const own = readCCacheFile(readFileSync(join(directory, 'tkt1'))).credentials[0] as Krb5Credential;
  const removed = { authtime: 0xffff_ffff, endtime: 0 };
  const looks = [
    own,
    { ...own, client: { nameType: 1, realm: 'R', components: ['a'] } },
    ...['cred', 'void', 'removed', 'replaced', 'skipped', 'ccache'].map((kind) => ({
      ...own,
      server: { ...own.server, components: ['krb5_ccache_conf_data', `ccapi_${kind}`] },
    })),
    ...['v5', 'gone', 'replaced', 'skipped'].flatMap((kind) =>
      [{}, removed].map((times) => ({
        ...{ ...own, ...times, ticket: Buffer.alloc(4) },
        client: { nameType: 1, realm: 'R', components: ['a'] },
        server: { nameType: 0, realm: 'X-CCAPI:', components: [kind] },
      })),
    ),
    { ...own, ...removed },
    { ...own, server: { nameType: 1, realm: 'R', components: ['s'] } },
    {
      ...{ ...own, ...removed },
      client: { nameType: 1, realm: 'R', components: ['a'] },
      server: { nameType: 1, realm: 'R', components: ['s'] },
    },
  ];
  for (const look of looks) {
    const bytes = marshalled(look as Krb5Credential);
    const value = credentialV5In(bytes);
    collection.store(ccache, value, [], byKCM ? bytes : undefined);
    expect(seen(open().collection)).toEqual(seen(collection));
  }
  expect(ccache.contents.credentials.size).toBe(looks.length);
  for (const { identifier } of [...ccache.contents.credentials]) {
    collection.remove(ccache, [identifier]);
    expect(seen(open().collection)).toEqual(seen(collection));
  }
});

it('a credential with numbers that a FILE ccache has no room for is the same afterwards', () => {
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a@R');
  const data = Buffer.from('data');
  for (const type of [0x8000, 0xffff, 0x1_0000, 0xffff_8000, 0xffff_7fff]) {
    for (const odd of [{ keyblock: { type, data } }, { authdata: [{ type, data }] }, { addresses: [{ type, data }] }]) {
      collection.store(ccache, { ...credentialFor('s@R'), ...structuredClone(odd) } as CredentialV5);
      expect(seen(open().collection)).toEqual(seen(collection));
    }
  }
});

it('what KCM brought is the same bytes afterwards, with name types that the CCAPI has no place for', () => {
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a@R');
  const odd = (service: string) => ({
    ...fromCredentialV5(credentialFor(`${service}@R`)),
    client: { nameType: 10, realm: 'R', components: ['alice'] },
    server: { nameType: 12, realm: 'R', components: [service] },
  });
  const bytes = ['one', 'two', 'three'].map((service) => marshalled(odd(service)));
  const stored = () => [...(open().collection.findByName('a') as CCache).contents.credentials];
  // What is stored is wiped when it goes.
  const copied = (each: Buffer) => ({ value: credentialV5In(Buffer.from(each)), marshalled: Buffer.from(each) });
  for (const { value, marshalled } of bytes.map(copied)) collection.store(ccache, value, [], marshalled);
  expect(stored().map((each) => each.marshalled)).toEqual(bytes);
  const contents: Contents = { ...collection.emptyContents('a@R'), nameType: 10 };
  for (const { value, marshalled } of bytes.map(copied)) contents.credentials.append(value, 0, marshalled);
  collection.replace('a', contents);
  expect(stored().map((each) => each.marshalled)).toEqual(bytes);
  const [first] = ccache.contents.credentials;
  collection.remove(ccache, [(first as StoredCredential).identifier]);
  expect(stored().map((each) => each.marshalled)).toEqual(bytes.slice(1));
});

it('a credential of another program is none of ours, unless it is marked as removed', () => {
  const { collection } = open();
  collection.create('a', 2, 'a@R');
  const path = join(directory, 'tkt1');
  const file = readCCacheFile(readFileSync(path));
  const kinds = ['v5', 'gone', 'replaced', 'skipped', 'other'];
  const former = (kind: string, times: object): Krb5Credential => ({
    ...fromCredentialV5({ ...credentialFor('s@R'), ticket: { type: 0, data: Buffer.from('ticket') } }),
    ...{ server: { nameType: 0, realm: 'X-CCAPI:', components: [kind] } },
    ...times,
  });
  const credentials = [
    ...kinds.map((kind) => former(kind, {})),
    { ...former('s', { authtime: 0xffff_ffff, endtime: 0 }), server: { nameType: 1, realm: 'R', components: ['s'] } },
    ...kinds.slice(1).map((kind) => former(kind, { authtime: 0xffff_ffff, endtime: 0, ticket: Buffer.alloc(0) })),
  ];
  writeFileSync(path, writeCCacheFile({ ...file, credentials: [...file.credentials, ...credentials] }));
  const [a] = open().collection;
  expect([...(a as CCache).contents.credentials].map(({ value }) => value.server)).toEqual(
    kinds.map((kind) => `${kind}@X-CCAPI:`),
  );
});

describe('a default that is awaited', () => {
  it('is not awaited where a file with its name has come', () => {
    const other = freshDirectory();
    open(other).collection.create('d', 2, 'd@R');
    const { collection, storage } = open();
    collection.awaitDefault('d');
    storage.close();
    expect(open().collection.awaitedDefault).toBe('d');
    cpSync(join(other, 'tkt1'), join(directory, 'tkt1'));
    const { collection: found } = open();
    expect([found.default?.name, found.awaitedDefault]).toEqual(['d', undefined]);
  });

  it('is not awaited any more once another was made the default, also where that is gone', () => {
    const { collection } = open();
    for (const name of ['a', 'b', 'c']) collection.create(name, 2, `${name}@R`);
    collection.awaitDefault('d');
    collection.setDefault(collection.findByName('c') as CCache);
    collection.destroy(collection.findByName('c') as CCache);
    expect(open().collection.awaitedDefault).toBeUndefined();
  });

  it('is not awaited any more once another was made the default, though the file could not say so', () => {
    const { collection } = open();
    for (const name of ['a', 'b', 'c']) collection.create(name, 2, `${name}@R`);
    collection.setDefault(collection.findByName('b') as CCache);
    collection.awaitDefault('d');
    collection.destroy(collection.findByName('b') as CCache);
    const { collection: next } = open();
    expect([next.default?.name, next.awaitedDefault]).toEqual(['a', 'd']);
    const file = readFileSync(join(directory, 'collection'));
    next.setDefault(next.findByName('c') as CCache);
    writeFileSync(join(directory, 'collection'), file);
    const { collection: last } = open();
    expect([last.default?.name, last.awaitedDefault]).toEqual(['c', undefined]);
  });
});

it('the header shows libkrb5 the KDC offset and the principal, and has no tag of ours', () => {
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a/admin@R');
  const header = () => {
    const { kdcOffset, otherTags, principal } = readCCacheFile(readFileSync(join(directory, 'tkt1')));
    return [kdcOffset?.seconds, otherTags.length, principal?.components, principal?.realm];
  };
  expect(header()).toEqual([0, 0, ['a', 'admin'], 'R']);
  for (const offset of [7, -7, undefined, 1]) {
    collection.setKDCOffset(ccache, offset === undefined ? undefined : offset >>> 0);
    expect(header()).toEqual([offset ?? 0, 0, ['a', 'admin'], 'R']);
  }
  collection.setPrincipal(ccache, 2, 'b@R');
  expect(header()).toEqual([0, 0, ['b'], 'R']);
  for (const nameType of [10, 1]) {
    collection.replace('a', { ...collection.emptyContents('b@R'), nameType });
    expect(readCCacheFile(readFileSync(join(directory, 'tkt1'))).principal?.nameType).toBe(nameType);
  }
});

it('a principal that libkrb5 could not parse is the same where only the header tells of it', () => {
  const texts = ['no realm', 'back\\slash', 'a@b@c', ''];
  const { collection } = open();
  for (const text of texts) collection.create(`of ${text}`, 2, text);
  for (const text of texts) {
    const path = join(directory, fileOf(JSON.stringify(`of ${text}`).slice(1, -1)));
    writeFileSync(path, readFileSync(path).toString('latin1').replace('ccapi_ccache', 'ccapi_ccachf'), 'latin1');
  }
  expect([...open().collection].map(({ contents }) => contents.principal)).toEqual(texts);
});

it('what a crash left over is overwritten, but not the file that it is another name of', () => {
  const { collection } = open();
  collection.store(collection.create('a', 2, 'a@R'), credentialFor('s@R'));
  const bytes = readFileSync(join(directory, 'tkt1'));
  for (const name of ['new', 'gone']) writeFileSync(join(directory, name), bytes);
  const descriptors = ['new', 'gone'].map((file) => openSync(join(directory, file), 'r'));
  open();
  expect(readdirSync(directory).sort()).toEqual(['collection', 'primary', 'tkt1']);
  for (const descriptor of descriptors) {
    const left = Buffer.alloc(bytes.length);
    expect(readSync(descriptor, left)).toBe(bytes.length);
    expect(left.every((byte) => byte === 0)).toBe(true);
    closeSync(descriptor);
  }
  linkSync(join(directory, 'tkt1'), join(directory, 'gone'));
  expect(seen(open().collection)).toEqual(seen(collection));
  expect(readdirSync(directory).sort()).toEqual(['collection', 'primary', 'tkt1']);
});

it('is not written at a start after an end in order', () => {
  const { collection, storage } = open();
  for (const name of ['a', 'b']) collection.store(collection.create(name, 2, 'a@R'), credentialFor('s@R'));
  storage.close();
  const files = () => readdirSync(directory).map((name) => [name, statSync(join(directory, name)).ino]);
  const before = files();
  open();
  expect(files()).toEqual(before);
});

it('is stored the same way where each change reaches the disk first', () => {
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

it('the file of what only the collection knows is written seldom, however much is stored', () => {
  directory = freshDirectory();
  const { collection } = open();
  const ccache = collection.create('a', 2, 'a@R');
  const versions = new Set<number>();
  for (let i = 0; i < 20_000; i++) {
    collection.store(ccache, credentialFor('s@R'), [...ccache.contents.credentials]);
    versions.add(statSync(join(directory, 'collection')).ino);
  }
  expect(versions.size).toBeLessThan(20);
  const other = collection.create('b', 2, 'b@R');
  const { ino } = statSync(join(directory, 'collection'));
  for (let i = 0; i < 100; i++) collection.setDefault(i % 2 === 0 ? other : ccache);
  expect(statSync(join(directory, 'collection')).ino).toBe(ino);
});

describeWith(['root', 'Linux'], 'a full file system', () => {
  it('refuses what needs room, and lets everything be removed', () => {
    const small = temporaryDirectory();
    execFileSync('/bin/mount', ['-t', 'tmpfs', '-o', 'size=256k', 'tmpfs', small]);
    try {
      directory = join(small, 'caches');
      const { collection } = open();
      const large = (service: string) => ({
        ...credentialFor(service),
        ticket: { type: 0, data: Buffer.alloc(9_000) },
      });
      for (const name of ['a', 'b', 'c']) collection.store(collection.create(name, 2, `${name}@R`), large('s@R'));
      const fill = () => {
        const rest = openSync(join(small, 'rest'), 'a');
        expect(() => {
          for (;;) writeSync(rest, Buffer.alloc(4096));
        }).toThrow('ENOSPC');
        closeSync(rest);
      };
      fill();
      const before = seen(collection);
      clock.now += 100_000;
      const a = collection.findByName('a') as CCache;
      expect(() => collection.store(a, large('more@R'))).toThrow('ENOSPC');
      expect(() => collection.create('d', 2, 'd@R')).toThrow('ENOSPC');
      expect(() => collection.awaitDefault('n'.repeat(4096))).toThrow('ENOSPC');
      expect(() => collection.create('a', 2, 'd@R')).toThrow('ENOSPC');
      expect(seen(collection)).toEqual(before);
      expect(seen(open().collection)).toEqual(before);
      collection.destroy(a);
      fill();
      // Beyond what was reserved.
      clock.now += 100_000;
      const b = collection.findByName('b') as CCache;
      collection.remove(b, [([...b.contents.credentials][0] as { identifier: Identifier }).identifier]);
      collection.destroy(collection.findByName('c') as CCache);
      const found = open().collection;
      expect(seen(found)).toEqual(seen(collection));
      expect(found.changed).toBeGreaterThanOrEqual(collection.changed);
      // So does the next worker, which cannot write anew what it should.
      chmodSync(join(directory, fileOf('b')), 0o644);
      fill();
      const next = open().collection;
      clock.now += 100_000;
      for (const ccache of [...next]) next.destroy(ccache);
      expect(open().collection.size).toBe(0);
    } finally {
      execFileSync('/bin/umount', ['--lazy', small]);
    }
  });
});

describeWith(['krb5-user'], 'stock klist', () => {
  it('reads them as a DIR collection, and our entries as settings', async () => {
    const { collection } = open();
    const ccaches = ['alice', 'bob', 'carol'].map((name) => collection.create(name, 2, `${name}@R`));
    for (const [i, ccache] of ccaches.entries()) {
      collection.store(ccache, credentialFor(`host/${i}@R`, 4_000_000_000));
      collection.store(ccache, { ...credentialFor(`gone/${i}@R`), keyblock: { type: 18, data: Buffer.alloc(16) } });
      // What only the CCAPI can have is passed over.
      collection.store(ccache, { ...credentialFor('no principal'), ticket: { type: 7, data: Buffer.alloc(3) } });
      const gone = [...ccache.contents.credentials][1];
      if (gone) collection.remove(ccache, [gone.identifier]);
      collection.setKDCOffset(ccache, i);
    }
    const [alice, bob, carol] = ccaches as [CCache, CCache, CCache];
    const klist = async (...args: string[]) => {
      const { stdout, code } = await run('/usr/bin/klist', args);
      expect(code).toBe(0);
      // Apart from the times and blank lines.
      return stdout
        .split('\n')
        .filter((line) => /principal: |\d .*@R$|^config/i.test(line))
        .map((line) => line.replace(/^[\d/: ]+/, ''));
    };
    const all = async () => klist('-A', '-c', `DIR:${directory}`);
    collection.setDefault(bob);
    expect(await klist('-c', `DIR:${directory}`)).toEqual(['Default principal: bob@R', 'host/1@R']);
    const ofBob = ['Default principal: bob@R', 'host/1@R'];
    const ofAlice = ['Default principal: alice@R', 'host/0@R'];
    const ofCarol = ['Default principal: carol@R', 'host/2@R'];
    expect((await all()).slice(0, 2)).toEqual(ofBob);
    expect((await all()).sort()).toEqual([...ofBob, ...ofAlice, ...ofCarol].sort());
    // The default goes where the model has it go: to the next, to what it is moved to, to what is made the default.
    collection.moveTo(bob, 'new');
    expect((await all()).slice(0, 2)).toEqual(ofBob);
    collection.destroy(collection.findByName('new') as CCache);
    expect(await all()).toEqual([...ofAlice, ...ofCarol]);
    collection.move(alice, carol);
    expect(await all()).toEqual(['Default principal: alice@R', 'host/0@R']);
    const settings = await klist('-C', '-c', `DIR:${directory}`);
    expect(settings.filter((line) => line.startsWith('config'))).not.toEqual([]);
  });
});
