import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { peekByte } from '../etc/host/fd-passing.ts';
import { meansNoListener } from '../etc/host/is-listening.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { descriptorOf, pauseHandle, resumeHandle } from '../etc/host/socket-handle.ts';
import type { WorkerKey } from '../proto/rendezvous.ts';
import type { LauncherContext } from './context.ts';
import type { Peer } from './peer.ts';
import { refusalKey } from './refusals.ts';
import { LinkRefused, type Outcome } from './worker-link.ts';

/**
 * How long a peer may be connected and send nothing, in milliseconds. libkrb5 connects when it has a request to send, and
 * connects again where an idle connection was closed.
 */
const SILENCE = 5000;

/** The first byte of any text. */
const FIRST_PRINTABLE = 0x20;

/** How often a connection is offered to a worker that ends before it takes it, as one does that is killed. */
const ATTEMPTS = 10;

/** How long is waited before the second attempt, and how much longer each time, in milliseconds. */
const PAUSE = 10;

/** How long a connection may be on its way to a worker, in milliseconds; starting one takes 20 s at the most. */
const PATIENCE = 25_000;

const nothing = Buffer.alloc(0);

/**
 * Stock Kerberos programs come to the machine's one KCM socket and know of no rendezvous: a connection that begins like a
 * KCM request is given to the worker of the uid that the kernel names, which is started if need be. Resolves to false for
 * a connection that begins otherwise, with nothing of it taken; a mere probe, closed without a byte, starts nothing. The
 * socket has to be paused from its beginning.
 */
export async function enterFrontDoor(socket: Socket, peer: Peer, context: LauncherContext): Promise<boolean> {
  // Most have sent their request by now: then nothing of it is read here.
  const peeked = peekByte(descriptorOf(socket));
  const read = peeked === undefined ? await readFirstBytes(socket) : nothing;
  const first = peeked ?? read?.[0];
  if (first === undefined || !read) return true;
  // A request begins with its length, which is below 512 MiB; a rendezvous begins with a letter or a digit.
  if (first >= FIRST_PRINTABLE) {
    if (read.length > 0) putBack(socket, read);
    return false;
  }
  context.quota.noteInput(socket);
  try {
    const { uid } = peer;
    if (uid === undefined) throw new Error('the kernel does not name the peer');
    await giveToWorker(socket, read, { uid, session: context.isPerSession ? peer.session() : undefined }, context);
  } catch (error) {
    socket.destroy();
    context.refusals.add(
      refusalKey(peer, context.isKnown),
      () => `${peer.describe()}: KCM: ${(error as Error).message}`,
    );
  }
  return true;
}

/**
 * Gives the connection itself to the worker, and what was read of it: after that it costs what a direct one costs. The
 * launcher keeps its own descriptor until the worker says that it has taken it. A worker that was sent it shares its state,
 * and may have made it one that blocks: from then on it is only ever offered again, or closed.
 */
async function giveToWorker(socket: Socket, read: Buffer, key: WorkerKey, context: LauncherContext): Promise<void> {
  const deadline = monotonic() + PATIENCE;
  let wasSent = false;
  for (let attempt = 1; ; attempt++) {
    const outcome = await offer(socket, read, key, context, wasSent);
    if (outcome === 'joined' || outcome === 'abandoned') return;
    if (outcome === 'taken') break;
    if (outcome === 'refused') throw new Error('the worker refused the connection');
    if (outcome === 'silent') throw new Error('the worker took no connection within 5 s');
    wasSent ||= outcome === 'lost';
    if (attempt === ATTEMPTS) throw new Error(`the worker ended before it took the connection, ${ATTEMPTS} times`);
    if (monotonic() > deadline) throw new Error(`no worker took the connection within ${PATIENCE / 1000} s`);
    // One that is killed seems to be there until the kernel is done with it.
    await context.links.waiting.during(socket, delay(attempt * PAUSE));
  }
  socket.destroy();
}

async function offer(
  socket: Socket,
  read: Buffer,
  key: WorkerKey,
  context: LauncherContext,
  wasSent: boolean,
): Promise<Outcome | 'joined' | 'abandoned'> {
  const { links } = context;
  try {
    const link = links.find(key) ?? (await links.waiting.during(socket, links.make(key)));
    if (socket.destroyed) return 'abandoned';
    if (link) return await link.offer(descriptorOf(socket), read);
    if (wasSent) throw new Error('the worker makes no link any more');
    const worker = await links.join(key);
    context.refusals.add(`links of uid ${key.uid}`, () => `uid ${key.uid}: cannot pass the descriptor, proxying`);
    join(socket, read, worker);
    return 'joined';
  } catch (error) {
    // The names go when a worker leaves, and outlive one that was killed.
    if (meansNoListener(error) || error instanceof LinkRefused) return 'unsent';
    throw error;
  }
}

/** The first bytes that a peer sends; undefined where it goes without any. */
function readFirstBytes(socket: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const gone = () => {
      socket.destroy();
      resolve(undefined);
    };
    socket.setTimeout(SILENCE, gone);
    socket.on('error', gone);
    socket.once('end', gone);
    socket.once('data', (chunk) => {
      socket.pause();
      // More may have been read already; the worker cannot read that again.
      const more: Buffer | null = socket.read();
      pauseHandle(socket);
      socket.setTimeout(0);
      socket.off('end', gone);
      resolve(more ? Buffer.concat([chunk, more]) : chunk);
    });
    socket.resume();
  });
}

function putBack(socket: Socket, read: Buffer): void {
  socket.unshift(read);
  resumeHandle(socket);
}

/** Carries what either says to the other until one of them ends. */
function join(peer: Socket, read: Buffer, worker: Socket): void {
  if (read.length > 0) {
    worker.write(read);
    resumeHandle(peer);
  }
  peer.pipe(worker).pipe(peer);
  for (const [one, other] of [
    [peer, worker],
    [worker, peer],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}
