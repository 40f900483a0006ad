// Destroyed is destroyed on the medium: whatever overwrites a file has the zeros written there before the name or the blocks go.
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { beforeEach, expect, it, vi } from 'vitest';
import type { CCache } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { credentialFor } from '../model/model.ts';

const calls = vi.hoisted(() => [] as [name: string, ...rest: unknown[]][]);

/** Whether the next write is done in half, and the one after it fails; whether there are no hard links. */
const faults = vi.hoisted(() => ({ writes: 0, isWithoutLinks: false }));

/** What was written and read. */
const buffers = vi.hoisted(() => [] as Buffer[]);

/** The real calls, and a list of those that overwrite, reach the medium or take a name or blocks away. */
vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const zeros = (bytes: unknown) => bytes instanceof Uint8Array && bytes.every((byte) => byte === 0);
  const noting = <T extends (...args: never[]) => unknown>(
    name: string,
    call: T,
    of = (...args: Parameters<T>): unknown => args[0],
  ) =>
    ((...args: Parameters<T>) => {
      calls.push([name, of(...args)]);
      return call(...args);
    }) as unknown as T;
  const writeSync = (fd: number, bytes: Buffer, from: number, length: number, at: number) => {
    buffers.push(bytes);
    if (faults.writes === 0) return fs.writeSync(fd, bytes, from, length, at);
    if (--faults.writes === 0) throw Object.assign(new Error('no room'), { code: 'ENOSPC' });
    return fs.writeSync(fd, bytes, from, length >> 1, at);
  };
  return {
    ...fs,
    writeSync: noting('write', writeSync as (...args: never[]) => number, (fd, bytes) => [fd, zeros(bytes)]),
    readFileSync(...args: Parameters<typeof fs.readFileSync>) {
      const read = fs.readFileSync(...args);
      if (read instanceof Buffer) buffers.push(read);
      return read;
    },
    linkSync(from: string, to: string) {
      if (faults.isWithoutLinks) throw Object.assign(new Error('no links'), { code: 'EPERM' });
      fs.linkSync(from, to);
    },
    fdatasyncSync: noting('sync', fs.fdatasyncSync),
    unlinkSync: noting('unlink', fs.unlinkSync, () => undefined),
    rmSync: noting('unlink', fs.rmSync, () => undefined),
    ftruncateSync: noting('truncate', fs.ftruncateSync),
  };
});

let directory: string;

function open(): Collection {
  const storage = new FileStorage(directory, false, { info() {}, warning() {}, error() {}, refusal() {} });
  const { identifiers, kept } = storage.load(() => 1_700_000_000);
  const collection = new Collection(identifiers, () => 1_700_000_000);
  storage.attach(collection, kept);
  calls.length = 0;
  return collection;
}

/** The names of the calls from the first that wrote zeros on, one after another. */
function sinceZeros(): string[] {
  const first = calls.findIndex(([name, of]) => name === 'write' && (of as [number, boolean])[1]);
  expect(first).toBeGreaterThanOrEqual(0);
  return calls
    .slice(first + 1)
    .map(([name]) => name)
    .filter((name) => name !== 'write');
}

beforeEach(() => {
  Object.assign(faults, { writes: 0, isWithoutLinks: false });
  buffers.length = 0;
  directory = `${temporaryDirectory()}/caches`;
});

function withTicket(collection: Collection): CCache {
  const ccache = collection.create('a', 2, 'a@R');
  collection.store(ccache, { ...credentialFor('s@R'), ticket: { type: 0, data: Buffer.from('the ticket') } });
  calls.length = 0;
  return ccache;
}

it('before the file of a ccache that is destroyed is removed', () => {
  const collection = open();
  collection.destroy(withTicket(collection));
  expect(sinceZeros()).toEqual(['sync', 'unlink']);
});

it.each<[string, (collection: Collection, ccache: CCache) => void]>([
  ['of which another is written', (collection, ccache) => collection.setPrincipal(ccache, 2, 'b@R')],
  ['of a ccache that is replaced', (collection) => void collection.create('a', 2, 'b@R')],
  [
    'of a ccache over which another is moved',
    (collection, ccache) => collection.move(collection.findByName('b') as CCache, ccache),
  ],
])('before the file %s loses its last name', (_, change) => {
  const collection = open();
  collection.create('b', 2, 'b@R');
  const ccache = withTicket(collection);
  const descriptor = openSync(`${directory}/${nameOf('the ticket')}`, 'r');
  change(collection, ccache);
  expect(sinceZeros()).toEqual(['sync', 'unlink']);
  const left = Buffer.alloc(10_000);
  expect(left.toString('latin1', 0, readSync(descriptor, left))).toMatch(/^\0+$/);
  closeSync(descriptor);
});

/** The name of the file that has a ticket. */
function nameOf(ticket: string): string {
  const has = (name: string) => readFileSync(`${directory}/${name}`).includes(ticket);
  return readdirSync(directory).find((name) => name.startsWith('tkt') && has(name)) as string;
}

it('and in the memory that it was written from or read into', () => {
  const collection = open();
  const ccache = withTicket(collection);
  const ticket = { type: 0, data: Buffer.from('the ticket') };
  const [stored] = ccache.contents.credentials;
  // A form that only the CCAPI has, which is two copies, and one in the place of another.
  collection.store(ccache, { ...credentialFor('odd@R'), isSkey: 256, ticket });
  collection.store(ccache, { ...credentialFor('s@R'), ticket }, [stored as NonNullable<typeof stored>]);
  collection.setPrincipal(ccache, 2, 'b@R');
  open();
  expect(buffers.length).toBeGreaterThan(10);
  expect(buffers.filter((bytes) => bytes.includes('the ticket'))).toEqual([]);
});

it('where there are no hard links, after the file got its name', () => {
  const collection = open();
  const ccache = withTicket(collection);
  const descriptor = openSync(`${directory}/${nameOf('the ticket')}`, 'r');
  faults.isWithoutLinks = true;
  collection.setPrincipal(ccache, 2, 'b@R');
  expect(sinceZeros()).toEqual(['sync']);
  const left = Buffer.alloc(10_000);
  expect(left.toString('latin1', 0, readSync(descriptor, left))).toMatch(/^\0+$/);
  closeSync(descriptor);
});

it('with the next file that is destroyed, where it failed', () => {
  const collection = open();
  const [a, b] = ['a', 'b'].map((name) => collection.create(name, 2, 'a@R')) as [CCache, CCache];
  collection.store(a, { ...credentialFor('s@R'), ticket: { type: 0, data: Buffer.from('the ticket') } });
  const descriptor = openSync(`${directory}/${nameOf('the ticket')}`, 'r');
  faults.writes = 1;
  collection.destroy(a);
  const left = Buffer.alloc(10_000);
  const text = () => left.toString('latin1', 0, readSync(descriptor, left, 0, left.length, 0));
  expect(text()).toContain('the ticket');
  collection.destroy(b);
  expect(text()).toMatch(/^\0+$/);
  closeSync(descriptor);
});

it('before what was written of a credential is cut off, where there is no room for the rest', () => {
  const collection = open();
  const ccache = withTicket(collection);
  faults.writes = 2;
  expect(() => collection.store(ccache, credentialFor('t@R'))).toThrow('no room');
  expect(sinceZeros()).toEqual(['sync', 'truncate']);
});

it('when a credential is removed, before the answer', () => {
  const collection = open();
  const ccache = withTicket(collection);
  const [stored] = ccache.contents.credentials;
  collection.remove(ccache, [(stored as NonNullable<typeof stored>).identifier]);
  expect(calls.map(([name]) => name)).toEqual(['write', 'write', 'sync']);
});

it('before a half-written end is cut off, and a file that was being written is removed', () => {
  withTicket(open());
  const file = `${directory}/${readdirSync(directory).find((name) => name.startsWith('tkt'))}`;
  truncateSync(file, readFileSync(file).length - 1);
  const storage = new FileStorage(directory, false, { info() {}, warning() {}, error() {}, refusal() {} });
  writeFileSync(`${directory}/new`, 'secret');
  calls.length = 0;
  storage.load(() => 1_700_000_000);
  expect(sinceZeros()).toEqual(['sync', 'unlink', 'sync', 'truncate']);
  expect(existsSync(`${directory}/new`)).toBe(false);
});
