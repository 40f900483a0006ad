// While another launcher starts a user's worker, one that wants the same worker waits, and leaves the processors to that start.
import { mkdirSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { monotonic } from '../../etc/host/monotonic.ts';
import { acquireProcessLock } from '../../etc/host/process-lock.ts';
import { prepareContext } from '../../launcher/context.ts';
import { temporaryDirectory } from '../setup/cleanup.ts';

const pauses: number[] = [];

/** Time goes on by each pause, at once. */
vi.mock('node:timers/promises', () => ({
  setTimeout: (milliseconds: number) => {
    pauses.push(milliseconds);
    vi.advanceTimersByTime(milliseconds);
    return new Promise(setImmediate);
  },
}));

beforeEach(() => void vi.useFakeTimers({ toFake: ['hrtime'] }));
afterEach(() => void vi.useRealTimers());

it('looks less and less often, and says after 20 s that no worker came up', async () => {
  const uid = process.getuid?.() as number;
  const base = `${temporaryDirectory()}/run`;
  mkdirSync(base, 0o755);
  const startWorker = vi.fn();
  const log = { info: vi.fn(), warning: vi.fn(), error: vi.fn(), refusal: vi.fn() };
  const options = { given: { directory: base }, launcherUid: uid, stays: false, log, startWorker, isByUnits: false };
  const { socketOf } = prepareContext(options);
  const giveBack = acquireProcessLock(`${base}/${uid}.lock`) as () => void;
  const began = monotonic();

  await expect(socketOf({ uid, session: undefined })).rejects.toThrow(`no worker came up for uid ${uid}`);

  expect(monotonic() - began).toBeGreaterThan(20_000);
  expect(pauses).toEqual([...pauses].sort((a, b) => a - b));
  expect(pauses.length).toBeGreaterThan(10);
  expect(pauses.length).toBeLessThan(40);
  expect(startWorker).not.toHaveBeenCalled();
  giveBack();
});
