// With `sync` a change is on the medium before it is acknowledged, with the names that lead to it.
import { existsSync, lstatSync, readdirSync, readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { expect, it, vi } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { numberOfCCache } from '../../../server/model/identifiers.ts';
import { TEMPORARY } from '../../../server/storage/atomic-file.ts';
import { fileName } from '../../../server/storage/ccache-log.ts';
import { LiveView } from '../../../server/storage/live-view.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { changes, open, prepare } from './changes.ts';

/** What is not on the medium: files by their inodes, and names; and files that got a name before they were there themselves. */
const missing = vi.hoisted(() => ({ files: new Set<number>(), names: new Set<string>(), named: [] as string[] }));

/** The paths that files got, one after the other. */
const named = vi.hoisted(() => ({ paths: [] as string[] }));

/** How many files can be opened yet before one cannot. */
const left = vi.hoisted(() => ({ opens: Number.POSITIVE_INFINITY }));

/** The real calls, with what each leaves to be brought to the medium. */
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const changed = <T extends (...args: never[]) => unknown>(call: T) =>
    ((...args: [descriptor: number, ...unknown[]]) => {
      missing.files.add(fs.fstatSync(args[0]).ino);
      return call(...(args as unknown as Parameters<T>));
    }) as unknown as T;
  const synced = (call: (descriptor: number) => void) => (descriptor: number) => {
    call(descriptor);
    const found = fs.fstatSync(descriptor);
    missing.files.delete(found.ino);
    for (const name of missing.names) if (fs.statSync(dirname(name)).ino === found.ino) missing.names.delete(name);
  };
  return {
    ...fs,
    openSync(...args: Parameters<typeof fs.openSync>) {
      if (left.opens-- === 0) throw Object.assign(new Error('too many'), { code: 'EMFILE' });
      return fs.openSync(...args);
    },
    writeSync: changed(fs.writeSync as (...args: never[]) => unknown),
    ftruncateSync: changed(fs.ftruncateSync),
    fsyncSync: synced(fs.fsyncSync),
    fdatasyncSync: synced(fs.fdatasyncSync),
    mkdirSync(path: string, options?: { mode: number }) {
      fs.mkdirSync(path, options);
      missing.names.add(path);
    },
    renameSync(from: string, to: string) {
      if (missing.files.has(fs.lstatSync(from).ino)) missing.named.push(to);
      fs.renameSync(from, to);
      missing.names.add(to);
      named.paths.push(to);
    },
  };
});

/** The path of a directory that is yet to be made; nothing is missing. */
function freshDirectory(): string {
  const path = `${temporaryDirectory()}/caches`;
  for (const each of [missing.files, missing.names]) each.clear();
  missing.named.length = 0;
  return path;
}

it('a directory that was not there', () => {
  open(freshDirectory(), true);
  expect([...missing.names]).toEqual([]);
});

it('the live view, before it gets its name', () => {
  const directory = freshDirectory();
  const collection = prepare(directory, true);
  const view = new LiveView(dirname(directory), collection, true, {
    info() {},
    warning() {},
    error() {},
    refusal() {},
  });
  view.begin();
  expect(missing.named).toEqual([]);
  expect(existsSync(`${dirname(directory)}/krb5cc`)).toBe(true);
  view.close();
});

type Change = (typeof changes)[string];

/** Makes a change in a directory of its own, where so many files can be opened; whether it was made, and what is missing. */
function make(change: Change, opens: number) {
  const directory = freshDirectory();
  const collection = prepare(directory, true);
  const [a, b] = collection as unknown as [CCache, CCache];
  left.opens = opens;
  let isDone = true;
  try {
    change(collection, a, b);
  } catch {
    isDone = false;
  }
  const hasFailed = left.opens < 0;
  left.opens = Number.POSITIVE_INFINITY;
  const files = readdirSync(directory).filter((name) => missing.files.has(lstatSync(`${directory}/${name}`).ino));
  return { isDone, hasFailed, missing: [...files, ...missing.names, ...missing.named] };
}

it.each(Object.entries(changes))('%s', (_, change) => {
  expect(make(change, Number.POSITIVE_INFINITY)).toEqual({ isDone: true, hasFailed: false, missing: [] });
});

it.each(Object.entries(changes))('%s, or is refused, where a file cannot be opened', (_, change) => {
  for (let opens = 0; ; opens++) {
    const made = make(change, opens);
    // A file that did not get its name is of no use.
    const missed = made.missing.filter((name) => name !== TEMPORARY);
    if (made.isDone) expect(missed, `${opens} files`).toEqual([]);
    if (!made.hasFailed) return;
  }
});

it.each(Object.entries(changes))(
  '%s, and has libkrb5 told of the default once, where that is another file',
  (_, change) => {
    const directory = freshDirectory();
    const collection = prepare(directory, true);
    const [a, b] = collection as unknown as [CCache, CCache];
    const primary = `${directory}/primary`;
    const before = readFileSync(primary, 'utf8');
    named.paths.length = 0;
    change(collection, a, b);
    const isOther = readFileSync(primary, 'utf8') !== before;
    expect(named.paths.filter((path) => path === primary)).toEqual(isOther ? [primary] : []);
    const [first] = collection as unknown as [CCache];
    expect(readFileSync(primary, 'utf8')).toBe(`${fileName(numberOfCCache(first.identifier))}\n`);
  },
);
