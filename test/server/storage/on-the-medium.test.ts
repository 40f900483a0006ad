// With `sync` a change is on the medium before it is acknowledged, with the names that lead to it.
import { lstatSync, readdirSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { changes, prepare } from './changes.ts';

/** What is not on the medium: files by their inodes, and names; and files that got a name before they were there themselves. */
const missing = vi.hoisted(() => ({ files: new Set<number>(), names: new Set<string>(), named: [] as string[] }));

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
    if (found.isDirectory()) missing.names.clear();
    else missing.files.delete(found.ino);
  };
  return {
    ...fs,
    writeSync: changed(fs.writeSync as (...args: never[]) => unknown),
    ftruncateSync: changed(fs.ftruncateSync),
    fsyncSync: synced(fs.fsyncSync),
    fdatasyncSync: synced(fs.fdatasyncSync),
    renameSync(from: string, to: string) {
      if (missing.files.has(fs.lstatSync(from).ino)) missing.named.push(to);
      fs.renameSync(from, to);
      missing.names.add(to);
    },
  };
});

it.each(Object.entries(changes))('%s', (_, change) => {
  const directory = `${temporaryDirectory()}/caches`;
  const collection = prepare(directory, true);
  const [a, b] = collection as unknown as [CCache, CCache];
  change(collection, a, b);
  const left = readdirSync(directory).filter((name) => missing.files.has(lstatSync(`${directory}/${name}`).ino));
  expect({ left, names: [...missing.names], named: missing.named }).toEqual({ left: [], names: [], named: [] });
});
