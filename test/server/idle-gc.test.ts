// What a busy while has left is collected once a worker is idle, whichever Node it is.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { libc } from '../../etc/host/libc.ts';
import { textOf } from '../../etc/host/read-or-nothing.ts';
import { IdleGC } from '../../server/idle-gc.ts';
import { describeWith } from '../setup/requirements.ts';

const SECOND = 1000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An object that has lived through a collection, as what many requests have made has, and that is needed until it is let go. */
function keptOld(): { ref: WeakRef<object>; letGo(): void } {
  setFlagsFromString('--expose-gc');
  let object: object | undefined = { is: 'left over' };
  (runInNewContext('gc') as () => void)();
  return {
    ref: new WeakRef(object),
    letGo() {
      object = undefined;
    },
  };
}

/** One that nothing needs any more. */
function grownOld(): WeakRef<object> {
  const { ref, letGo } = keptOld();
  letGo();
  return ref;
}

/** A busy while that has made memory grow, and then no request for some time, in milliseconds. */
async function rest(idle = new IdleGC(), time = 15 * SECOND): Promise<void> {
  // One large object has pages of its own: no room that the heap had before takes it in, so the growth is always seen.
  const kept = new Array(500_000).fill(0.5);
  idle.touch(performance.now());
  await vi.advanceTimersByTimeAsync(time);
  expect(kept).toHaveLength(500_000);
}

/** Memory of this process that is no file's, in bytes. Source: proc_pid_status(5). */
function anonymousMemory(): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(textOf('/proc/self/status'))?.[1]) * 1024;
}

it('collects what has grown old, some seconds after the last request', async () => {
  const old = grownOld();
  await rest();
  expect(old.deref()).toBeUndefined();
});

it('does so after each busy while', async () => {
  const idle = new IdleGC();
  for (const round of [1, 2, 3]) {
    const old = grownOld();
    await rest(idle);
    expect(old.deref(), `round ${round}`).toBeUndefined();
  }
});

it('does so once more some seconds later, for what was still needed, and then no more', async () => {
  const [first, second] = [keptOld(), keptOld()];
  await rest(new IdleGC(), 7 * SECOND);
  first.letGo();
  await vi.advanceTimersByTimeAsync(7 * SECOND);
  expect(first.ref.deref()).toBeUndefined();
  second.letGo();
  await vi.advanceTimersByTimeAsync(60 * SECOND);
  expect(second.ref.deref()).toBeDefined();
});

it('does nothing as long as requests come', async () => {
  const idle = new IdleGC();
  const old = grownOld();
  await rest(idle, 5 * SECOND);
  for (let i = 0; i < 10; i++) {
    idle.touch(performance.now());
    await vi.advanceTimersByTimeAsync(5 * SECOND);
  }
  expect(old.deref()).toBeDefined();
  await vi.advanceTimersByTimeAsync(2 * SECOND);
  expect(old.deref()).toBeUndefined();
});

it('does nothing after a while that has left little, and once it is stopped', async () => {
  const idle = new IdleGC();
  const old = grownOld();
  idle.touch(performance.now());
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(old.deref()).toBeDefined();
  await rest(idle, 5 * SECOND);
  idle.stop();
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(old.deref()).toBeDefined();
});

describeWith(['glibc'], 'memory of the C library', () => {
  it('goes back to the system, also from before a piece that is in use', async () => {
    const [pieces, size] = [20_000, 4000];
    const { library } = libc() as NonNullable<ReturnType<typeof libc>>;
    const [allocate, free] = [library.func('void *calloc(size_t, size_t)'), library.func('void free(void *)')];
    const freed = Array.from({ length: pieces }, () => allocate(1, size));
    const last = allocate(1, size);
    for (const piece of freed) free(piece);
    const before = anonymousMemory();
    await rest();
    expect(before - anonymousMemory()).toBeGreaterThan((pieces * size) / 2);
    free(last);
  });
});
