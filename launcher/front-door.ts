import type { Socket } from 'node:net';
import { peerCredentials } from '../etc/host.ts';
import type { LauncherOptions } from './launcher.ts';
import { descriptorOf, type Peer } from './peer.ts';

/** How long a peer may be connected and say nothing, in milliseconds. Kerberos programs may well take their time. */
const SILENCE = 300_000;

/**
 * Stock Kerberos programs come to the machine's one KCM socket and know of no rendezvous: what begins like a KCM request
 * is connected with the worker of whoever the kernel says is there, which is started if need be. Resolves to false for
 * a connection that begins otherwise, with nothing of it taken; a mere probe, closed without a byte, starts nothing.
 */
export async function enteredFrontDoor(socket: Socket, peer: Peer, options: LauncherOptions): Promise<boolean> {
  const first = await firstBytes(socket);
  if (!first) return true;
  // A request begins with its length, and none is as long as 16 MiB; a rendezvous begins with a letter or a digit.
  if (first[0] !== 0) {
    socket.unshift(first);
    return false;
  }
  try {
    const { uid } = peer;
    if (uid === undefined) throw new Error('the kernel does not say who it is');
    await options.socketOf(uid);
    const worker = await options.connectTo(uid);
    if (peerCredentials(descriptorOf(worker))?.uid !== uid) {
      worker.destroy();
      throw new Error(`what listens in the directory of uid ${uid} is not a process of that uid`);
    }
    join(socket, first, worker);
  } catch (error) {
    options.log.refusal(`${peer.description}: KCM: ${(error as Error).message}`);
    socket.destroy();
  }
  return true;
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
      socket.setTimeout(0);
      socket.off('end', gone);
      resolve(chunk);
    });
  });
}

/** Carries what either says to the other until one of them ends. */
function join(peer: Socket, first: Buffer, worker: Socket): void {
  worker.write(first);
  peer.pipe(worker).pipe(peer);
  for (const [one, other] of [
    [peer, worker],
    [worker, peer],
  ] as const) {
    one.on('error', () => other.destroy());
    one.on('close', () => other.destroy());
  }
}
