// What a program sees of servers that come and go. The change time is the whole process's, so this has a
// file, and with it a process, of its own.
import { expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { RawConnection } from '../server/raw-connection.ts';
import { afterwards, end, eventually, workersBelow } from '../setup/cleanup.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

const code = (name: string) => expect.objectContaining({ name });

it('the change time grows when a server appears, changes and goes, and never falls; nothing starts one', async () => {
  const base = workerDirectory();
  const open = () => {
    const context = new Context({ env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: base, CCAPI_PORT: '1' } });
    afterwards(() => context.close());
    return context;
  };
  const [context, other] = [open(), open()];
  expect([await context.getChangeTime(), await context.getChangeTime()]).toEqual([0, 0]);
  expect(await context.compare(other)).toBe(true);
  expect(workersBelow(base)).toEqual([]);

  const { worker, path } = await startWorker(base, '--persist=never');
  const raw = await RawConnection.open(path);
  const serversOwn = async () => (await raw.get('contextGetChangeTime', uninitialised, {})).time;
  expect(await context.getChangeTime()).toBe((await serversOwn()) + 1);
  const iterator = await context.newCCacheIterator();
  const ccache = await context.createNewCCache('alice@R');
  expect(await context.getChangeTime()).toBe((await serversOwn()) + 1);
  expect(await context.compare(other)).toBe(true);
  const withServer = await context.getChangeTime();
  raw.kill();

  await end(worker);
  await eventually(async () => (await context.getChangeTime().catch(() => 0)) > withServer);
  const gone = await context.getChangeTime();
  expect(gone).toBeGreaterThanOrEqual(Math.floor(Date.now() / 1000) - 5);
  expect(await context.getChangeTime()).toBe(gone);
  await expect(context.openDefaultCCache()).rejects.toThrow(code('ccErrCCacheNotFound'));
  expect(workersBelow(base)).toEqual([]);

  await startWorker(base, '--persist=never');
  await expect(ccache.getName()).rejects.toThrow(code('ccErrInvalidCCache'));
  await expect(iterator.next()).rejects.toThrow(code('ccErrInvalidCCacheIterator'));
  await iterator.release();
  expect(await context.getChangeTime()).toBeGreaterThan(gone);
});
