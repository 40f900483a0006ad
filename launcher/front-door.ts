import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { HAND_OVER_NAME, SOCKET_NAME } from '../etc/base-directory.ts';
import { canSendDescriptors, descriptorOf, peerCredentials, readOn, sendDescriptor, stopReading } from '../etc/host.ts';
import { saysNobodyListens } from '../etc/is-listening.ts';
import type { Whose } from '../proto/rendezvous.ts';
import type { LauncherOptions } from './launcher.ts';
import type { Peer } from './peer.ts';

/** How long a peer may be connected and say nothing, in milliseconds. Kerberos programs may well take their time. */
const SILENCE = 300_000;

/** The first byte of any text. */
const FIRST_PRINTABLE = 0x20;

/** How often a connection is offered to a worker that ends before it takes it, as one does that is killed. */
const ATTEMPTS = 10;

/** How long is waited before the second attempt, and how much longer each time, in milliseconds. */
const PAUSE = 10;

/**
 * Stock Kerberos programs come to the machine's one KCM socket and know of no rendezvous: what begins like a KCM request
 * is connected with the worker of whoever the kernel says is there, which is started if need be. Resolves to false for
 * a connection that begins otherwise, with nothing of it taken; a mere probe, closed without a byte, starts nothing.
 */
export async function enteredFrontDoor(socket: Socket, peer: Peer, options: LauncherOptions): Promise<boolean> {
  const first = await firstBytes(socket);
  if (!first) return true;
  // A request begins with its length, which is below 512 MiB; a rendezvous begins with a letter or a digit.
  if ((first[0] as number) >= FIRST_PRINTABLE) {
    socket.unshift(first);
    readOn(socket);
    return false;
  }
  try {
    const { uid, session } = peer;
    if (uid === undefined) throw new Error('the kernel does not say who it is');
    const whose = { uid, session };
    for (let attempt = 1; ; attempt++) {
      await options.socketOf(whose);
      const outcome = await handedOver(socket, first, whose, options);
      if (outcome === 'taken') break;
      if (outcome === 'impossible') {
        options.log.warning(
          `${peer.description()}: the connection cannot be handed over; its bytes are carried instead`,
        );
        join(socket, first, await workerOf(whose, SOCKET_NAME, options));
        break;
      }
      if (attempt === ATTEMPTS) throw new Error(`the worker ended before it took the connection, ${ATTEMPTS} times`);
      // One that is killed seems to be there until the kernel is done with it.
      await delay(attempt * PAUSE);
    }
  } catch (error) {
    options.log.refusal(`${peer.description()}: KCM: ${(error as Error).message}`);
    socket.destroy();
  }
  return true;
}

/**
 * Gives the connection itself to the worker, and behind it what was read of it: after that it costs what a direct one
 * costs. `lost` where the worker ended before it said that it has taken it: it has done nothing with it then.
 */
async function handedOver(
  socket: Socket,
  first: Buffer,
  whose: Whose,
  options: LauncherOptions,
): Promise<'taken' | 'lost' | 'impossible'> {
  if (!canSendDescriptors()) return 'impossible';
  let worker: Socket;
  try {
    worker = await workerOf(whose, HAND_OVER_NAME, options);
  } catch (error) {
    // The name goes when a worker leaves, and outlives one that was killed.
    if (saysNobodyListens(error)) return 'lost';
    throw error;
  }
  const acknowledged = new Promise<boolean>((resolve) => {
    worker.once('data', () => resolve(true));
    worker.once('close', () => resolve(false));
    worker.on('error', () => worker.destroy());
  });
  if (sendDescriptor(descriptorOf(worker), descriptorOf(socket))) worker.end(first);
  else worker.destroy();
  if (!(await acknowledged)) return 'lost';
  worker.destroy();
  socket.destroy();
  return 'taken';
}

/** A connection to a socket of the uid's worker. Nothing goes there before the kernel says that it is that uid's. */
async function workerOf(whose: Whose, name: string, options: LauncherOptions): Promise<Socket> {
  const { uid } = whose;
  const worker = await options.connectTo(whose, name);
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
      // More may have been read already; whoever gets the connection cannot read that again.
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
