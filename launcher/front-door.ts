import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HAND_OVER_NAME, SOCKET_NAME } from '../etc/base-directory.ts';
import { canSendDescriptors, descriptorOf, peerCredentials, readOn, sendDescriptor, stopReading } from '../etc/host.ts';
import { saysNobodyListens } from '../etc/is-listening.ts';
import type { WorkerKey } from '../proto/rendezvous.ts';
import type { LauncherContext } from './launcher.ts';
import type { Peer } from './peer.ts';
import { refusalKey } from './refusals.ts';

/**
 * How long a peer may be connected and send nothing, in milliseconds. libkrb5 connects when it has a request to send, and
 * connects again where an idle connection was closed.
 */
const SILENCE = 5000;

/** How long a worker may take to acknowledge a connection that it was given, in milliseconds. */
const ACKNOWLEDGEMENT = 5000;

/** The first byte of any text. */
const FIRST_PRINTABLE = 0x20;

/** How often a connection is offered to a worker that ends before it takes it, as one does that is killed. */
const ATTEMPTS = 10;

/** How long is waited before the second attempt, and how much longer each time, in milliseconds. */
const PAUSE = 10;

/**
 * Stock Kerberos programs come to the machine's one KCM socket and know of no rendezvous: a connection that begins like a
 * KCM request is given to the worker of the uid that the kernel names, which is started if need be. Resolves to false for
 * a connection that begins otherwise, with nothing of it taken; a mere probe, closed without a byte, starts nothing.
 */
export async function enterFrontDoor(socket: Socket, peer: Peer, context: LauncherContext): Promise<boolean> {
  const first = await firstBytes(socket);
  if (!first) return true;
  // A request begins with its length, which is below 512 MiB; a rendezvous begins with a letter or a digit.
  if ((first[0] as number) >= FIRST_PRINTABLE) {
    socket.unshift(first);
    readOn(socket);
    return false;
  }
  context.quota.spoke(socket);
  try {
    const { uid } = peer;
    if (uid === undefined) throw new Error('the kernel does not name the peer');
    await giveToWorker(socket, first, { uid, session: context.isPerSession ? peer.session() : undefined }, context);
  } catch (error) {
    context.refusals.add(
      refusalKey(peer, context.isKnown),
      () => `${peer.describe()}: KCM: ${(error as Error).message}`,
    );
    socket.destroy();
  }
  return true;
}

async function giveToWorker(socket: Socket, first: Buffer, key: WorkerKey, context: LauncherContext): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    await context.socketOf(key);
    const outcome = await handOver(socket, first, key, context);
    if (outcome === 'taken') return;
    if (outcome === 'impossible') {
      context.log.warning(`uid ${key.uid}: cannot pass the descriptor, proxying`);
      return join(socket, first, await workerOf(key, SOCKET_NAME, context));
    }
    if (outcome === 'silent') throw new Error(`the worker took no connection within ${ACKNOWLEDGEMENT / 1000} s`);
    if (attempt === ATTEMPTS) throw new Error(`the worker ended before it took the connection, ${ATTEMPTS} times`);
    // One that is killed seems to be there until the kernel is done with it.
    await delay(attempt * PAUSE);
  }
}

/**
 * Gives the connection itself to the worker, and behind it what was read of it: after that it costs what a direct one
 * costs. `lost` where the worker ended before it acknowledged: it has done nothing with it then. `silent` where it did
 * not acknowledge in time, and may have it.
 */
async function handOver(
  socket: Socket,
  first: Buffer,
  key: WorkerKey,
  context: LauncherContext,
): Promise<'taken' | 'lost' | 'silent' | 'impossible'> {
  if (!canSendDescriptors()) return 'impossible';
  let worker: Socket;
  try {
    worker = await workerOf(key, HAND_OVER_NAME, context);
  } catch (error) {
    // The name goes when a worker leaves, and outlives one that was killed.
    if (saysNobodyListens(error)) return 'lost';
    throw error;
  }
  const outcome = new Promise<'taken' | 'lost' | 'silent'>((resolve) => {
    worker.setTimeout(ACKNOWLEDGEMENT, () => resolve('silent'));
    worker.once('data', () => resolve('taken'));
    worker.once('close', () => resolve('lost'));
    worker.on('error', () => worker.destroy());
  });
  if (sendDescriptor(descriptorOf(worker), descriptorOf(socket))) worker.end(first);
  else worker.destroy();
  const result = await outcome;
  worker.destroy();
  if (result === 'taken') socket.destroy();
  return result;
}

/** A connection to a socket of the uid's worker. Nothing goes there before the kernel says that it is that uid's. */
async function workerOf(key: WorkerKey, name: string, context: LauncherContext): Promise<Socket> {
  const { uid } = key;
  const worker = await context.connectTo(key, name);
  if (peerCredentials(descriptorOf(worker))?.uid === uid) return worker;
  worker.destroy();
  throw new Error(`what listens in the directory of uid ${uid} is not a process of that uid`);
}

/** The first bytes that a peer sends; undefined where it goes without any. */
function firstBytes(socket: Socket): Promise<Buffer | undefined> {
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
      stopReading(socket);
      socket.setTimeout(0);
      socket.off('end', gone);
      resolve(more ? Buffer.concat([chunk, more]) : chunk);
    });
  });
}

/** Carries what either says to the other until one of them ends. */
function join(peer: Socket, first: Buffer, worker: Socket): void {
  worker.write(first);
  readOn(peer);
  peer.pipe(worker).pipe(peer);
  for (const [one, other] of [
    [peer, worker],
    [worker, peer],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}
