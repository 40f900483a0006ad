// Each system call of each change fails once: the change is refused and nothing has changed, or it is done; and whatever the
// client is told then and later, the next worker after a kill finds the same.
import { copyFileSync, linkSync, lstatSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { changes, open, prepare, secret, secretsIn, seen, servicesOf } from './changes.ts';
import { fault, whileFailing } from './failing-fs.ts';

vi.mock('node:fs', async (original) => (await import('./failing-fs.ts')).failing(await original()));

const root = temporaryDirectory(memory);
let directories = 0;
let directory: string;
const cases = Object.keys(changes).flatMap((title) =>
  ['EIO', 'EMFILE', 'ENOSPC'].flatMap((code) => [true, false].map((sync) => [title, code, sync] as const)),
);

it.each(cases)('%s, where a call fails with %s (sync: %s)', (title, code, sync) => {
  for (let after = 0; ; after++) {
    directory = `${root}/${directories++}`;
    const collection = prepare(directory, sync);
    const before = seen(collection);
    const [a, b] = collection as unknown as [CCache, CCache];
    let isDone = true;
    try {
      whileFailing(after, code, () => changes[title]?.(collection, a, b));
    } catch {
      isDone = false;
    }
    const at = `call ${after}, ${fault.call}`;
    if (fault.call === '') return;
    if (!isDone) expect(seen(collection), at).toEqual(before);
    expect(seen(open(copied(), sync).collection), at).toEqual(seen(collection));
    for (const ccache of [...collection]) collection.store(ccache, secret(`later@R`));
    expect(seen(open(copied(), sync).collection), `${at}, then stores`).toEqual(seen(collection));
    for (const ccache of [...collection].slice(1)) collection.destroy(ccache);
    const { collection: found, said } = open(copied(), sync);
    expect(seen(found), `${at}, then destroys`).toEqual(seen(collection));
    expect(said.filter((line) => !/half-written/.test(line))).toEqual([]);
    if (code !== 'EIO') continue;
    const last = `${root}/${directories - 1}`;
    const files = readdirSync(last).map((name) => readFileSync(`${last}/${name}`, 'latin1'));
    expect(secretsIn(files), at).toEqual(servicesOf(found));
  }
});

it.each(['EMFILE', 'ENFILE', 'ENOMEM'])('a start where a call fails with %s costs the next one nothing', (code) => {
  directory = `${root}/${directories++}`;
  const { collection } = open(directory);
  for (const name of ['a', 'b']) collection.store(collection.create(name, 2, 'a@R'), secret(`${name}@R`));
  collection.awaitDefault('d');
  for (let after = 0; ; after++) {
    const copy = copied();
    try {
      whileFailing(after, code, () => void open(copy));
    } catch (error) {
      expect(error).toMatchObject({ code });
    }
    if (fault.call === '') return;
    const { collection: found, said } = open(copy);
    expect(found.identifier).toEqual(collection.identifier);
    expect(seen(found), `call ${after}, ${fault.call}`).toEqual(seen(collection));
    expect(said).toEqual([]);
  }
});

/** A copy of the directory, as a kill would leave it; two names of one file stay that. */
function copied(): string {
  const copy = `${root}/${directories++}`;
  mkdirSync(copy, { mode: 0o700 });
  const copies = new Map<number, string>();
  for (const name of readdirSync(directory)) {
    const { ino } = lstatSync(`${directory}/${name}`);
    const first = copies.get(ino);
    if (first) linkSync(first, `${copy}/${name}`);
    else copyFileSync(`${directory}/${name}`, `${copy}/${name}`);
    copies.set(ino, `${copy}/${name}`);
  }
  return copy;
}
