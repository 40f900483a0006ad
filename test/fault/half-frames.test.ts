// Many connections that send most of a long frame and no more: the worker's memory stays bounded, and others are served.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { expect, it } from 'vitest';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { InputBudget } from '../../server/input-budget.ts';
import { credentialFor } from '../server/model/model.ts';
import { RawConnection } from '../server/raw-connection.ts';
import { eventually, memory } from '../setup/cleanup.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { KCMConnection } from './kcm-connection.ts';

const CONNECTIONS = 180;
const FRAME = 16 * 1024 * 1024;

/** Four frames, twice as much while one grows, what a worker has anyhow, and what the engine has not collected yet. */
const MOST = 400 * 1024;

const memoryOf = (pid: number | undefined) =>
  Number(/^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

function opened(path: string): Promise<Socket> {
  return new Promise((resolve) => {
    const socket = connect(path, () => resolve(socket));
    // It is ended while it still sends.
    socket.on('error', () => {});
  });
}

it(`${CONNECTIONS} half frames of 16 MB take no more than a few, and others of the same user are served`, async () => {
  const { worker, path } = await startWorker(workerDirectory(memory));
  const observer = await RawConnection.open(path);
  await observer.get('contextCreateCCache', uninitialised, { name: 'a', version: 2, principal: 'alice@R' });
  // One that is in the middle of something usual is not ended for what others hold.
  const usual = await opened(path);
  usual.write(Buffer.from('0000100000', 'hex'));
  const half = Buffer.alloc(FRAME - 1000, 'x');
  half.writeUInt32BE(FRAME, 0);
  const sockets = await Promise.all(Array.from({ length: CONNECTIONS }, () => opened(path)));
  let done = 0;
  for (const socket of sockets) socket.once('close', () => done++).write(half, () => done++);
  while (done < CONNECTIONS) await observer.settled();
  await eventually(() => sockets.filter(({ destroyed }) => destroyed).length >= CONNECTIONS - 8);
  expect(memoryOf(worker.pid)).toBeLessThan(MOST);
  expect(usual.destroyed).toBe(false);
  const { ccache } = await observer.get('contextOpenCCache', uninitialised, { name: 'a' });
  await observer.get('ccacheStoreCredentials', ccache, { credentials: credentialFor('s@R') });
  for (const socket of [...sockets, usual]) socket.destroy();
  observer.kill();
});

it('a frame that comes byte by byte takes no more than its length', async () => {
  const { worker, path } = await startWorker(workerDirectory(memory));
  const before = memoryOf(worker.pid);
  const socket = await opened(path);
  socket.setNoDelay(true);
  socket.write(Buffer.from('00100000', 'hex'));
  for (let i = 0; i < 20_000; i++) await new Promise<void>((resolve) => void socket.write('x', () => resolve()));
  expect(memoryOf(worker.pid) - before).toBeLessThan(60 * 1024);
  socket.destroy();
});

it('a peer that sends very many short requests behind one that waits is cut off before they take much', async () => {
  const { worker, path } = await startWorker(workerDirectory(memory));
  const holder = await RawConnection.open(path);
  await holder.get('contextLock', uninitialised, { type: 1, block: 1 });
  const before = memoryOf(worker.pid);
  const socket = await opened(path);
  const lock = requestFrame('contextLock', uninitialised, { type: 1, block: 1 });
  socket.write(Buffer.concat([lock, Buffer.alloc(5 * 500_000, Buffer.from('0000000100', 'hex'))]));
  await eventually(() => socket.destroyed);
  expect(memoryOf(worker.pid) - before).toBeLessThan(60 * 1024);
  await holder.settled();
  holder.kill();
});

it('a peer that sends very many long requests at once gives others their turn', async () => {
  const { path } = await startWorker(workerDirectory(memory), '--max-credentials=100000', '--max-bytes=1g');
  const setUp = new KCMConnection(path);
  const credentials = Array.from({ length: 20_000 }, (_, i) =>
    marshalled(fromCredentialV5({ ...credentialFor('s@R'), authdata: [{ type: 1, data: Buffer.from(String(i)) }] })),
  );
  const principal = parsePrincipal('alice@R');
  expect(await setUp.ask('replace', { name: 'a', offset: 0, principal, credentials })).toBe(0);
  // Each look-up goes through all of them, since it has the only check that none passes; together they take seconds.
  const busy = new KCMConnection(path);
  let answered = 0;
  const requests = Array.from({ length: 1000 }, () =>
    busy.ask('removeCred', { name: 'a', flags: 0, matching: 's@OTHER' }).then(() => answered++),
  );
  const other = await RawConnection.open(path);
  await requests[0];
  await other.get('contextSync', uninitialised, {});
  expect(answered).toBeLessThan(500);
  await Promise.all(requests);
});

it('the budget ends the largest, tells of it once, and lets go of what is gone', () => {
  const said: string[] = [];
  const budget = new InputBudget(100, { warning: (line) => void said.push(line) });
  const holder = (held: number) => ({ held, ended: false, end: () => {} });
  const holders = [10, 60, 20].map((held) => {
    const one = holder(held);
    one.end = () => {
      one.ended = true;
      one.held = 0;
    };
    return one;
  });
  for (const one of holders) budget.update(one);
  expect(said).toEqual([]);
  const [small, large, middle] = holders as [(typeof holders)[0], (typeof holders)[0], (typeof holders)[0]];
  middle.held = 45;
  budget.update(middle);
  expect([small.ended, large.ended, middle.ended]).toEqual([false, true, false]);
  budget.remove(middle);
  const again = holder(90);
  budget.update(again);
  expect(said).toHaveLength(1);
  small.held = 11;
  budget.update(small);
  expect(said).toHaveLength(1);
});
