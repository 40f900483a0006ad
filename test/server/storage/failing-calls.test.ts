// Each system call of each change fails once: the change is refused and nothing has changed, or it is done; and whatever the
// client is told then and later, the next worker after a kill finds the same.
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { credentialFor } from '../model/model.ts';

/** How many calls succeed before one fails, and with what. */
const fault = vi.hoisted(() => ({ after: Number.POSITIVE_INFINITY, code: '', call: '' }));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const names = [
    'openSync',
    'writeSync',
    'renameSync',
    'linkSync',
    'unlinkSync',
    'rmSync',
    'ftruncateSync',
    'fsyncSync',
    'fdatasyncSync',
    'readFileSync',
  ] as const;
  const failing =
    (name: string, call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) => {
      if (fault.after-- !== 0) return call(...args);
      fault.call = name;
      throw Object.assign(new Error(`${fault.code}: failed`), { code: fault.code });
    };
  return { ...fs, ...Object.fromEntries(names.map((name) => [name, failing(name, fs[name] as never)])) };
});

const root = temporaryDirectory(memory);
let directories = 0;
let directory: string;
const now = () => 1_700_000_000;

function open(at: string): { collection: Collection; said: string[] } {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const storage = new FileStorage(at, true, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = storage.load(now);
  const collection = new Collection(identifiers, now);
  storage.attach(collection, kept);
  return { collection, said };
}

const seen = (collection: Collection) => ({
  awaited: collection.awaitedDefault,
  ccaches: [...collection].map(
    ({ name, identifier, lastDefault, contents: { principal, kdcOffset, credentials } }) => ({
      ...{ name, identifier: identifier.object, lastDefault, principal, kdcOffset },
      tickets: [...credentials].map(({ identifier, value }) => [identifier.object, value.server]),
    }),
  ),
});

const secret = (service: string) => ({
  ...credentialFor(service),
  ticket: { type: 0, data: Buffer.from(`secret of ${service}.`) },
});

const changes: Record<string, (collection: Collection, a: CCache, b: CCache) => void> = {
  create: (collection) => collection.create('e', 2, 'e@R'),
  'create of the awaited default': (collection) => collection.create('d', 2, 'd@R'),
  replace: (collection, _, b) => {
    const contents = collection.emptyContents('n@R');
    contents.credentials.append(secret('n0@R'));
    collection.replace(b.name, contents);
  },
  destroy: (collection, a) => collection.destroy(a),
  move: (collection, a, b) => collection.move(a, b),
  'move to a name': (collection, a) => collection.moveTo(a, 'c'),
  'move to a new name': (collection, _, b) => collection.moveTo(b, 'n'),
  default: (collection, _, b) => collection.setDefault(b),
  await: (collection) => collection.awaitDefault('n'),
  principal: (collection, a) => collection.setPrincipal(a, 2, 'p@R'),
  offset: (collection, a) => collection.setKDCOffset(a, 7),
  store: (collection, a) => collection.store(a, secret('n@R')),
  'store in the place of two': (collection, a) => collection.store(a, secret('n@R'), [...a.contents.credentials]),
  remove: (collection, a) =>
    collection.remove(
      a,
      [...a.contents.credentials].map(({ identifier }) => identifier),
    ),
};

const cases = Object.keys(changes).flatMap((title) =>
  ['EIO', 'EMFILE', 'ENOSPC'].map((code) => [title, code] as const),
);

it.each(cases)('%s, where a call fails with %s', (title, code) => {
  for (let after = 0; ; after++) {
    directory = `${root}/${directories++}`;
    const { collection } = open(directory);
    for (const name of ['a', 'b', 'c']) {
      const ccache = collection.create(name, 2, `${name}@R`);
      for (const i of [0, 1]) collection.store(ccache, secret(`${name}${i}@R`));
    }
    collection.awaitDefault('d');
    const before = seen(collection);
    const [a, b] = collection as unknown as [CCache, CCache];
    Object.assign(fault, { after, code, call: '' });
    let isDone = true;
    try {
      changes[title]?.(collection, a, b);
    } catch {
      isDone = false;
    } finally {
      fault.after = Number.POSITIVE_INFINITY;
    }
    const at = `call ${after}, ${fault.call}`;
    if (fault.call === '') return;
    if (!isDone) expect(seen(collection), at).toEqual(before);
    expect(seen(open(copied()).collection), at).toEqual(seen(collection));
    for (const ccache of [...collection]) collection.store(ccache, secret(`later@R`));
    expect(seen(open(copied()).collection), `${at}, then stores`).toEqual(seen(collection));
    for (const ccache of [...collection].slice(1)) collection.destroy(ccache);
    const { collection: found, said } = open(copied());
    expect(seen(found), `${at}, then destroys`).toEqual(seen(collection));
    expect(said.filter((line) => !/half-written/.test(line))).toEqual([]);
    if (code !== 'EIO') continue;
    const tickets = [...found].flatMap(({ contents }) => [...contents.credentials].map(({ value }) => value.server));
    const last = `${root}/${directories - 1}`;
    const files = readdirSync(last).map((name) => readFileSync(`${last}/${name}`, 'latin1'));
    const secrets = [...files.join().matchAll(/secret of (\w+@R)\./g)].map(([, service]) => service);
    expect(secrets.sort(), at).toEqual(tickets.sort());
  }
});

it.each(['EMFILE', 'ENFILE', 'ENOMEM'])('a start where a call fails with %s costs the next one nothing', (code) => {
  directory = `${root}/${directories++}`;
  const { collection } = open(directory);
  for (const name of ['a', 'b']) collection.store(collection.create(name, 2, 'a@R'), secret(`${name}@R`));
  collection.awaitDefault('d');
  for (let after = 0; ; after++) {
    const copy = copied();
    Object.assign(fault, { after, code, call: '' });
    try {
      open(copy);
    } catch (error) {
      expect(error).toMatchObject({ code });
    } finally {
      fault.after = Number.POSITIVE_INFINITY;
    }
    if (fault.call === '') return;
    const { collection: found, said } = open(copy);
    expect(found.identifier).toEqual(collection.identifier);
    expect(seen(found), `call ${after}, ${fault.call}`).toEqual(seen(collection));
    expect(said).toEqual([]);
  }
});

/** A copy of the directory, as a kill would leave it. */
function copied(): string {
  const copy = `${root}/${directories++}`;
  execFileSync('cp', ['-a', directory, copy]);
  return copy;
}
