// A directory as a user or another program leaves it, before a worker starts and while it runs.

import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  closeSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { beforeEach, describe, expect, it } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import { kcmHandlers } from '../../../server/protocols/kcm-handlers.ts';
import { KCMNames } from '../../../server/protocols/kcm-names.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { run } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';
import { credentialFor } from '../model/model.ts';

const root = temporaryDirectory(memory);
let directories = 0;
let directory: string;
let said: string[] = [];

function open(at = directory): { collection: Collection; storage: FileStorage } {
  const say = (line: string) => void said.push(line);
  const storage = new FileStorage(at, false, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = storage.load(() => 1_700_000_000);
  const collection = new Collection(identifiers, () => 1_700_000_000);
  storage.attach(collection, kept);
  return { collection, storage };
}

const tickets = (collection: Collection) =>
  [...collection].map(({ name, contents }) => [name, ...[...contents.credentials].map(({ value }) => value.server)]);

const secret = (service: string) => ({
  ...credentialFor(service),
  ticket: { type: 0, data: Buffer.from(`secret of ${service}.`) },
});

function two(): { collection: Collection; storage: FileStorage; a: CCache; b: CCache } {
  const opened = open();
  for (const name of ['a', 'b']) opened.collection.store(opened.collection.create(name, 2, 'a@R'), secret(`${name}@R`));
  const [a, b] = opened.collection as unknown as [CCache, CCache];
  return { ...opened, a, b };
}

/** Does something without the rights of root, which may read and write anything; the directory is the user's then. */
function asUser(action: () => void): void {
  const isRoot = process.geteuid?.() === 0;
  if (isRoot) {
    chmodSync(root, 0o755);
    execFileSync('chown', ['-R', '65534:65534', directory]);
    process.seteuid?.(65534);
  }
  try {
    action();
  } finally {
    if (isRoot) process.seteuid?.(0);
  }
}

beforeEach(() => {
  directory = `${root}/${directories++}`;
  said = [];
});

describe('while a worker runs', () => {
  it('a file that is another name of a ccache’s own is not overwritten with that', () => {
    const { collection, b } = two();
    rmSync(`${directory}/tkt2`);
    linkSync(`${directory}/tkt1`, `${directory}/tkt2`);
    collection.setPrincipal(b, 2, 'b@R');
    expect(tickets(open().collection)).toEqual([
      ['a', 'a@R'],
      ['b', 'b@R'],
    ]);
  });

  it.each<[string, (path: string) => void]>([
    ['a link to a file', (path) => symlinkSync(`${root}/elsewhere`, path)],
    ['another name of a ccache’s file', (path) => linkSync(`${directory}/tkt1`, path)],
    ['a file that all may read', (path) => [writeFileSync(path, ''), chmodSync(path, 0o666)]],
  ])('%s where a file is written is not written to', (_, plant) => {
    const { collection } = two();
    writeFileSync(`${root}/elsewhere`, 'as it was');
    for (const name of ['new', 'gone']) plant(`${directory}/${name}`);
    collection.setPrincipal(collection.findByName('b') as CCache, 2, 'b@R');
    expect(readFileSync(`${root}/elsewhere`, 'utf8')).toBe('as it was');
    expect(statSync(`${directory}/tkt2`).mode & 0o777).toBe(0o600);
    expect(tickets(open().collection)).toEqual([
      ['a', 'a@R'],
      ['b', 'b@R'],
    ]);
    for (const name of ['new', 'gone']) plant(`${directory}/${name}`);
    collection.destroy(collection.findByName('b') as CCache);
    expect(tickets(open().collection)).toEqual([['a', 'a@R']]);
  });

  it.each<[string, () => void]>([
    ['a file', () => writeFileSync(directory, '')],
    ['a link that leads nowhere', () => symlinkSync('nowhere', directory)],
    ['a link in a circle', () => symlinkSync(directory, directory)],
  ])('%s in the place of the directory ends no worker', (_, plant) => {
    const { collection, storage, a } = two();
    rmSync(directory, { recursive: true });
    plant();
    expect(() => collection.setKDCOffset(collection.create('c', 2, 'c@R'), 7)).toThrow('cannot store the change');
    storage.restore();
    expect(() => collection.destroy(a)).toThrow('cannot store the change');
    storage.close();
    expect(said.length).toBeGreaterThan(0);
  });

  it.each<[string, (path: string) => void]>([
    ['removed', (path) => rmSync(path)],
    ['cut', (path) => truncateSync(path, 100)],
    ['emptied', (path) => truncateSync(path)],
    ['grown', (path) => truncateSync(path, 10_000)],
    ['replaced', (path) => [rmSync(path), writeFileSync(path, 'of another program')]],
  ])('a file that was %s is written anew before what is stored next', (_, change) => {
    for (const wasClosed of [false, true]) {
      const { collection, storage, a } = two();
      if (wasClosed) for (let i = 0; i < 40; i++) collection.create(`${i}`, 2, 'a@R');
      change(`${directory}/tkt1`);
      collection.store(a, secret('later@R'));
      expect(tickets(open().collection)).toEqual(tickets(collection));
      storage.forsake();
      directory = `${root}/${directories++}`;
    }
  });

  it.each([
    ['', () => 0],
    [' and is as long', ({ size }: { size: number }) => size],
  ])('nothing is written through a link that stands for a file%s, and the file is written anew', (_, lengthFor) => {
    const { collection, a } = two();
    // So many others are used that it is closed.
    for (let i = 0; i < 40; i++) collection.create(`${i}`, 2, 'a@R');
    renameSync(`${directory}/tkt1`, `${root}/moved`);
    const padding = lengthFor(statSync(`${root}/moved`)) - `${root}/moved`.length;
    symlinkSync(`${'/'.repeat(Math.max(padding, 0))}${root}/moved`, `${directory}/tkt1`);
    const moved = readFileSync(`${root}/moved`);
    collection.store(a, secret('later@R'));
    expect(readFileSync(`${root}/moved`)).toEqual(moved);
    expect(lstatSync(`${directory}/tkt1`).isFile()).toBe(true);
    expect(tickets(open().collection)).toEqual(tickets(collection));
  });

  it('what was removed is there again for the next worker, under the same identifiers', () => {
    for (const isInOrder of [true, false]) {
      const { collection, storage, a } = two();
      rmSync(directory, { recursive: true });
      if (isInOrder) storage.close();
      else collection.store(a, secret('later@R'));
      const { collection: found } = open();
      expect(tickets(found)).toEqual(tickets(collection));
      expect(found.identifier).toEqual(collection.identifier);
      directory = `${root}/${directories++}`;
    }
  });

  it.each<[string, (path: string) => void]>([
    ['removed', (path) => rmSync(path)],
    ['emptied', (path) => truncateSync(path)],
  ])('the collection file is written anew where it is looked for and was %s', (_, change) => {
    const { collection, storage } = two();
    change(`${directory}/collection`);
    storage.restore();
    expect(open().collection.identifier).toEqual(collection.identifier);
  });

  it('that it cannot write is logged once, and that it can again', () => {
    const { collection } = two();
    renameSync(directory, `${directory}.away`);
    writeFileSync(directory, '');
    const create = (name: string) => collection.create(name, 2, 'a@R');
    for (const name of ['c', 'd', 'e']) expect(() => create(name)).toThrow('cannot store the change');
    const lines = () => said.map((line) => line.replaceAll(directory, '').replace(/:.*/, ''));
    expect(lines()).toEqual(['cannot write ']);
    rmSync(directory);
    renameSync(`${directory}.away`, directory);
    for (const name of ['c', 'd', 'e']) create(name);
    expect(lines()).toEqual(['cannot write ', 'can write  again']);
  });

  it('that may have lost the directory to another one writes nothing', () => {
    const { collection, storage, a } = two();
    const files = () => readdirSync(directory).map((name) => [name, readFileSync(`${directory}/${name}`, 'latin1')]);
    storage.forsake();
    rmSync(`${directory}/primary`);
    const before = files();
    expect(() => collection.store(a, secret('later@R'))).toThrow('another worker may own it');
    expect(() => collection.destroy(a)).toThrow('another worker may own it');
    storage.restore();
    storage.close();
    expect(files()).toEqual(before);
    rmSync(`${directory}/tkt1`);
    storage.restore();
    storage.close();
    expect(readdirSync(directory)).not.toContain('tkt1');
  });

  it('a file that its owner may only read is overwritten where it is destroyed', () => {
    const { collection, a } = two();
    chmodSync(`${directory}/tkt1`, 0o400);
    const descriptor = openSync(`${directory}/tkt1`, 'r');
    asUser(() => collection.destroy(a));
    expect(readFileSync(descriptor).every((byte) => byte === 0)).toBe(true);
    closeSync(descriptor);
  });

  it('a file of another program is kept where a new ccache gets its name', () => {
    const { collection } = two();
    const foreign = readFileSync(`${directory}/tkt1`);
    for (const name of ['tkt3', 'tkt4']) writeFileSync(`${directory}/${name}`, foreign);
    collection.store(collection.create('c', 2, 'c@R'), secret('c@R'));
    collection.moveTo(collection.findByName('b') as CCache, 'd');
    expect(tickets(open().collection)).toEqual(tickets(collection));
    const kept = readdirSync(directory).filter((name) => name.startsWith('set-aside.tkt'));
    expect(kept.map((name) => readFileSync(`${directory}/${name}`).equals(foreign))).toEqual([true, true]);
    expect(said.filter((line) => line.includes('set aside'))).toHaveLength(2);
  });

  it('files that were copied back in the place of the former ones are found out', () => {
    const { collection, storage, a } = two();
    execFileSync('cp', ['-a', directory, `${directory}.copy`]);
    rmSync(directory, { recursive: true });
    renameSync(`${directory}.copy`, directory);
    storage.restore();
    collection.store(a, secret('later@R'));
    expect(tickets(open().collection)).toEqual(tickets(collection));
  });
});

describe('before a worker starts', () => {
  it.each<[string, (path: string) => void]>([
    ['may be read by all', (path) => chmodSync(path, 0o644)],
    ['has a further name', (path) => linkSync(path, `${path}.copy`)],
  ])('a file that %s is written anew', (_, change) => {
    two();
    change(`${directory}/tkt1`);
    const { collection } = open();
    expect(statSync(`${directory}/tkt1`)).toMatchObject({ nlink: 1 });
    expect(statSync(`${directory}/tkt1`).mode & 0o777).toBe(0o600);
    expect(tickets(collection)).toEqual(tickets(open().collection));
    expect(said).toEqual([]);
  });

  it('what is no directory is not used', () => {
    writeFileSync(directory, '');
    expect(() => open()).toThrow('is not a directory');
    rmSync(directory);
    symlinkSync(root, directory);
    expect(() => open()).toThrow('is not a directory');
  });

  it.each(['primary', 'collection', 'new', 'gone', 'former.3', 'tkt1'])('a directory named %s is set aside', (name) => {
    const { collection, storage } = two();
    collection.destroy(collection.findByName('a') as CCache);
    storage.close();
    rmSync(`${directory}/${name}`, { force: true });
    mkdirSync(`${directory}/${name}/file`, { recursive: true });
    expect(tickets(open().collection)).toEqual([['b', 'b@R']]);
    expect(lstatSync(`${directory}/${name}`, { throwIfNoEntry: false })?.isDirectory()).not.toBe(true);
    expect(readdirSync(directory).filter((each) => each.startsWith('set-aside.'))).toEqual([
      expect.stringMatching(`^set-aside.${name}.`),
    ]);
    expect(readFileSync(`${directory}/primary`, 'utf8')).toBe('tkt2\n');
  });

  it.each<[string, (bytes: Buffer) => Buffer]>([
    ['of another version', (bytes) => Buffer.concat([Buffer.from([5, 3]), bytes.subarray(2)])],
    ['cut within its heading', (bytes) => bytes.subarray(0, bytes.indexOf('"name"'))],
  ])('a file that is %s is set aside', (_, change) => {
    two();
    writeFileSync(`${directory}/tkt1`, change(readFileSync(`${directory}/tkt1`)));
    expect(tickets(open().collection)).toEqual([['b', 'b@R']]);
    expect(readdirSync(directory).filter((each) => each.startsWith('set-aside.tkt1.'))).toHaveLength(1);
  });

  it('what its owner may not read is read all the same', () => {
    const { collection } = two();
    chmodSync(`${directory}/tkt1`, 0);
    chmodSync(directory, 0);
    asUser(() => {
      expect(tickets(open().collection)).toEqual(tickets(collection));
      expect(said).toEqual([]);
    });
    expect(statSync(directory).mode & 0o777).toBe(0o700);
  });

  it('a file of any length costs no memory, and no other a ticket', () => {
    two();
    const header = readFileSync(`${directory}/tkt1`);
    for (const [name, bytes] of Object.entries({ tkt1: header, tkt7: Buffer.alloc(0), collection: Buffer.alloc(0) })) {
      writeFileSync(`${directory}/${name}`, bytes);
      truncateSync(`${directory}/${name}`, 1_500_000_000);
    }
    const before = process.resourceUsage().maxRSS;
    expect(tickets(open().collection)).toContainEqual(['b', 'b@R']);
    expect(process.resourceUsage().maxRSS - before).toBeLessThan(200_000);
  });

  it('zeros at the end of a file are no tickets', () => {
    const { a } = two();
    const whole = readFileSync(`${directory}/tkt1`);
    for (const zeros of [1, 66, 67, 68, 1000, 20_000_000]) {
      writeFileSync(`${directory}/tkt1`, Buffer.concat([whole, Buffer.alloc(zeros)]));
      const { collection } = open();
      expect(tickets(collection)).toEqual([
        ['a', 'a@R'],
        ['b', 'b@R'],
      ]);
      expect(readFileSync(`${directory}/tkt1`).equals(whole)).toBe(true);
    }
    expect(a.removed).toBe(false);
  });

  it('10,000 ccaches are loaded, with the collection file and without', { timeout: 30_000 }, () => {
    const { collection, storage } = open();
    for (let i = 0; i < 10_000; i++) collection.create(`${i}`, 2, 'a@R');
    storage.close();
    expect(open().collection.size).toBe(10_000);
    // Of which all have lost what the collection file says, and have one name.
    const bytes = readFileSync(`${directory}/tkt1`, 'latin1');
    expect(bytes).toContain('"name":"0"');
    rmSync(`${directory}/collection`);
    expect(open().collection.size).toBe(10_000);
  });
});

it.each([0, 2 ** 36 - 1, 2 ** 36, 2 ** 46 - 1, 2 ** 46])(
  'a file of ours that has got the number %i costs no identifier',
  (number) => {
    two().storage.close();
    const damaged = readFileSync(`${directory}/tkt1`, 'latin1').replace('ccapi_ccache', 'ccapi_ccachf');
    writeFileSync(`${directory}/tkt${number.toString(36)}`, damaged, 'latin1');
    const { collection, storage } = open();
    collection.store(collection.create('c', 2, 'c@R'), secret('c@R'));
    storage.close();
    let expected = tickets(collection);
    for (const name of ['d', 'e']) {
      const { collection: found } = open();
      expect(found.identifier).toEqual(collection.identifier);
      expect(tickets(found)).toEqual(expected);
      expect([...found].map(({ identifier }) => identifier)).not.toContainEqual(found.identifier);
      found.create(name, 2, 'd@R');
      expected = tickets(found);
    }
    expect(said.filter((line) => line.includes('collection'))).toEqual([]);
  },
);

it('no number is given out again where a file has a very high one', () => {
  const { storage } = two();
  storage.close();
  const foreign = readFileSync(`${directory}/tkt1`);
  writeFileSync(`${directory}/tkt${(2 ** 40 - 1).toString(36)}`, foreign);
  const { collection } = open();
  collection.store(collection.create('c', 2, 'c@R'), secret('c@R'));
  rmSync(`${directory}/collection`);
  const { collection: found } = open();
  found.create('d', 2, 'd@R');
  expect(tickets(open().collection)).toEqual([...tickets(collection), ['d']]);
});

describeWith(['krb5-user'], 'stock programs', () => {
  it('that list and destroy the files cost nothing that is stored', async () => {
    const { collection, a } = two();
    const cache = `DIR:${directory}`;
    for (let round = 0; round < 3; round++) {
      expect((await run('/usr/bin/klist', ['-A', '-c', cache])).code).toBe(0);
      expect((await run('/usr/bin/kdestroy', ['-A', '-c', cache])).code).toBe(0);
      expect(readdirSync(directory)).not.toContain('tkt1');
      collection.store(a, secret(`${round}@R`));
      if (round === 1) collection.moveTo(collection.findByName('b') as CCache, 'c');
      expect(tickets(open().collection)).toEqual(tickets(collection));
    }
  });
});

it('a credential of zeros is a credential', () => {
  const { collection, a } = two();
  const bytes = Buffer.alloc(67);
  const value = { ...credentialFor('@'), client: '@', server: '@' };
  const none = { type: 0, data: Buffer.alloc(0) };
  collection.store(a, { ...value, keyblock: none, ticket: none, secondTicket: none }, [], bytes);
  collection.store(a, secret('later@R'));
  expect(tickets(open().collection)).toEqual(tickets(collection));
});

it.each(['a\\q@R', 'x\\yzzz/\\h@R', 'plain@R'])(
  'a credential for %s, which KCM was told of, is removed, and no other',
  (server) => {
    const { collection, a } = two();
    collection.store(a, secret(server));
    collection.store(a, secret('later@R'));
    const before = tickets(collection);
    const context = { collection, names: new KCMNames(collection, 0) };
    expect(kcmHandlers.getCredList({ name: 'a' }, context)).toBeDefined();
    expect(tickets(open().collection)).toEqual(before);
    const odd = [...a.contents.credentials][1];
    collection.setPrincipal(a, 2, 'c@R');
    expect(tickets(open().collection)).toEqual(before);
    if (odd) collection.remove(a, [odd.identifier]);
    expect(tickets(open().collection)).toEqual(tickets(collection));
    expect(readFileSync(`${directory}/tkt1`, 'latin1')).not.toContain(`secret of ${server}`);
  },
);
