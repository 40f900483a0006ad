// Views that were replaced: how many are kept for the programs that read them, for how long, and what is left of them.
import { closeSync, existsSync, fstatSync, mkdirSync, openSync, readdirSync, readSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { FormerViews } from '../../../server/storage/former-views.ts';
import { afterwards, memory, temporaryDirectory } from '../../setup/cleanup.ts';

const MEBIBYTE = 1 << 20;

let directory: string;
let former: FormerViews;
let files: number;
beforeEach(() => {
  vi.useFakeTimers();
  directory = temporaryDirectory(memory);
  former = new FormerViews(directory, (action) => action());
  files = 0;
});
afterEach(() => {
  former.shredAll();
  vi.useRealTimers();
});

/** A view that has been replaced, and what a program reads that has opened it before. */
function replaced(size = 10) {
  const path = `${directory}/new${files++}`;
  writeFileSync(path, Buffer.alloc(size, 'x'));
  const descriptor = openSync(path, 'r+');
  const reader = openSync(path, 'r');
  afterwards(() => closeSync(reader));
  const first = Buffer.alloc(1);
  const read = () => (readSync(reader, first, 0, 1, 0) === 1 ? first.toString('latin1') : undefined);
  return { path, descriptor, size, read };
}

function add(size?: number) {
  const view = replaced(size);
  former.add(view.descriptor, view.size, view.path);
  return view;
}

it('are 128 at the most, the last ones', () => {
  const views = Array.from({ length: 130 }, () => add());
  expect(views.slice(0, 3).map(({ read }) => read())).toEqual(['\0', '\0', 'x']);
  expect(readdirSync(directory)).toHaveLength(128);
});

it('are of 4 MiB at the most, also where others have gone before', () => {
  for (const round of [1, 2, 3]) {
    for (let i = 0; i < 5; i++) add(MEBIBYTE);
    expect(readdirSync(directory), `round ${round}`).toHaveLength(4);
    vi.advanceTimersByTime(2001);
    expect(readdirSync(directory), `round ${round}`).toHaveLength(0);
  }
});

it('are overwritten in time that counts', () => {
  former.shredAll();
  let view: ReturnType<typeof add> | undefined;
  const seen: (string | undefined)[] = [];
  former = new FormerViews(directory, (action) => {
    seen.push(view?.read());
    action();
    seen.push(view?.read());
  });
  view = add();
  vi.advanceTimersByTime(1001);
  expect(seen).toEqual(['x', '\0']);
});

it('leave no descriptor, no name and no timer', () => {
  const views = [add(), add()];
  vi.advanceTimersByTime(2001);
  for (const { descriptor } of views) expect(() => fstatSync(descriptor)).toThrow('EBADF');
  expect(readdirSync(directory)).toEqual([]);
  expect(vi.getTimerCount()).toBe(0);
});

it.each<[string, (view: ReturnType<typeof replaced>) => void]>([
  ['has no name any more', ({ descriptor, size }) => former.add(descriptor, size)],
  [
    'cannot be given a name of its own',
    ({ descriptor, size, path }) => {
      mkdirSync(`${directory}/former.0/file`, { recursive: true });
      former.add(descriptor, size, path);
      expect(existsSync(path)).toBe(false);
    },
  ],
])('one that %s is whole for a second', (_, replace) => {
  const view = replaced();
  replace(view);
  vi.advanceTimersByTime(999);
  expect(view.read()).toBe('x');
  vi.advanceTimersByTime(1002);
  expect(view.read()).toBe('\0');
});

it('one that cannot lose its name is overwritten at once', () => {
  const view = replaced();
  former.add(view.descriptor, view.size, `${directory}/none/new`);
  expect(view.read()).toBe('\0');
});
