// The spare worker: one that is given, one that is of no use any more, and one that cannot be started.
import { expect, it, vi } from 'vitest';
import { NewWorkers } from '../../launcher/new-workers.ts';
import type { WaitingWorker } from '../../launcher/waiting-worker.ts';

it('that cannot be started is none: the next user’s is started when that user comes', async () => {
  const worker = { args: ['--a'], exited: new Promise(() => {}) } as unknown as WaitingWorker;
  const startWorker = vi.fn(async () => worker).mockRejectedValueOnce(new Error('no descriptor is left'));
  const workers = new NewWorkers(startWorker);
  workers.configure(['--a'], true);
  await workers.prepareSpare();
  expect(await workers.take()).toBe(worker);
  expect(startWorker.mock.calls).toEqual([[['--a']], [['--a']]]);
});

/** A worker that ends when it is told to. */
function workerWith(...args: string[]) {
  let exit = () => {};
  const exited = new Promise<void>((resolve) => {
    exit = resolve;
  });
  const end = vi.fn();
  return { worker: { args, exited, end } as unknown as WaitingWorker, exit, end };
}

it('that is given is the first user’s, and its end later is not that of the next', async () => {
  const [first, second] = [workerWith('--a'), workerWith('--a')];
  const startWorker = vi.fn(async () => second.worker);
  const workers = new NewWorkers(startWorker, first.worker);
  workers.configure(['--a'], true);
  expect(await workers.take()).toBe(first.worker);
  await workers.prepareSpare();
  first.exit();
  await first.worker.exited;
  expect(await workers.take()).toBe(second.worker);
  expect(startWorker).toHaveBeenCalledTimes(1);
});

it('that would not be like the next user’s is ended, and not taken', async () => {
  const [former, next] = [workerWith('--a'), workerWith('--b')];
  const workers = new NewWorkers(async () => next.worker, former.worker);
  workers.configure(['--b'], true);
  expect(former.end).toHaveBeenCalled();
  expect(await workers.take()).toBe(next.worker);
});
