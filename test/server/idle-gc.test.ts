// What a busy while has left is collected once a worker is idle, whichever Node it is.

import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { IdleGC } from '../../server/idle-gc.ts';

const SECOND = 1000;

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** An object that has lived through a collection, as what many requests have made has, and that nothing needs any more. */
function grownOld(): WeakRef<object> {
  setFlagsFromString('--expose-gc');
  const object = { is: 'left over' };
  (runInNewContext('gc') as () => void)();
  return new WeakRef(object);
}

it('collects what has grown old, some seconds after the last request', async () => {
  const old = grownOld();
  const idle = new IdleGC();
  // One large object has pages of its own: no room that the heap had before takes it in, so the growth is always seen.
  const kept = new Array(500_000).fill(0.5);
  idle.touch(performance.now());
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(old.deref()).toBeUndefined();
  expect(kept).toHaveLength(500_000);
});
