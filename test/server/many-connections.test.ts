// Hundreds of clients that wait, and are killed in any order: nothing of them stays.
import { createServer } from 'node:net';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { uninitialised } from '../../proto/identifier.ts';
import { Connection } from '../../server/connection.ts';
import { InputBudget } from '../../server/input-budget.ts';
import { InputSocket } from '../../server/input-socket.ts';
import { hostClock } from '../../server/model/change-time.ts';
import { Collection } from '../../server/model/collection.ts';
import { Identifiers } from '../../server/model/identifiers.ts';
import { Iterators } from '../../server/model/iterators.ts';
import { CCAPISession } from '../../server/protocols/ccapi-session.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { credentialFor } from './model/model.ts';
import { RawConnection } from './raw-connection.ts';

const limits = { maxFrame: 2 ** 24, maxOutput: 2 ** 20 };
const silent = { info() {}, warning() {}, error() {}, refusal() {} };
const budget = new InputBudget(2 ** 26, silent);

it('500 connections with a lock pending or a wait each leave none behind, in whatever order they are killed', async () => {
  const collection = new Collection(new Identifiers(), hostClock);
  const iterators = new Iterators(collection);
  let open = 0;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const socket = InputSocket.ofAccepted(accepted);
    open++;
    socket.once('close', () => open--);
    new Connection(socket, new CCAPISession(collection, iterators, silent), limits, budget);
  });
  const path = `${temporaryDirectory()}/socket`;
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => void server.close());

  const ccache = collection.create('a', 2, 'alice@R');
  const holder = await RawConnection.open(path);
  await holder.get('contextLock', uninitialised, { type: 1, block: 1 });
  await holder.get('ccacheLock', ccache.identifier, { type: 1, block: 1 });
  const clients = await Promise.all(Array.from({ length: 500 }, () => RawConnection.open(path)));
  for (const [i, client] of clients.entries()) {
    client.ask('contextNewCCacheIterator', uninitialised, {});
    if (i % 4 === 0) client.ask('contextLock', uninitialised, { type: i % 2, block: 1 });
    else if (i % 4 === 1) client.ask('ccacheLock', ccache.identifier, { type: i % 3 === 0 ? 0 : 1, block: 1 });
    else if (i % 4 === 2) client.ask('contextWaitForChange', uninitialised, { last: 0xffffffff });
    else client.ask('ccacheWaitForChange', ccache.identifier, { last: 0xffffffff });
  }
  const waiting = () => ({
    locks: collection.lock.counts.pending + ccache.lock.counts.pending,
    waiters: collection.waiters.size + ccache.waiters.size,
    iterators: iterators.size,
  });
  await eventually(() => waiting().locks === 250 && waiting().waiters === 250);
  expect(waiting().iterators).toBe(500);

  const [order] = fc.sample(fc.shuffledSubarray(clients, { minLength: 500 }), 1) as [RawConnection[]];
  for (const client of order.slice(0, 250)) client.kill();
  // A change comes in the middle of it, and the clients that still wait for it are answered.
  collection.store(ccache, credentialFor('s@R'));
  for (const client of order.slice(250)) client.kill();
  await eventually(() => open === 1);
  expect(waiting()).toEqual({ locks: 0, waiters: 0, iterators: 0 });
  expect([collection.lock.counts.granted, ccache.lock.counts.granted]).toEqual([1, 1]);

  holder.kill();
  await eventually(() => open === 0);
  expect([collection.lock.counts.granted, ccache.lock.counts.granted]).toEqual([0, 0]);
});
