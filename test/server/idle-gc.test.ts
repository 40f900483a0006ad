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
  const idle = new IdleGC();
  const old = grownOld();
  const kept = Array.from({ length: 100_000 }, (_, i) => ({ i }));
  idle.touch(performance.now());
  await vi.advanceTimersByTimeAsync(15 * SECOND);
  expect(old.deref()).toBeUndefined();
  expect(kept).toHaveLength(100_000);
});
