// The spare worker, where one cannot be started.
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
