import { closeSync } from 'node:fs';
import { createServer, Socket } from 'node:net';
import { HAND_OVER_NAME } from '../etc/base-directory.ts';
import { descriptorOf, peerCredentials, receiveDescriptor } from '../etc/host.ts';
import type { Log } from '../etc/log.ts';
import { PublicSocket } from './public-socket.ts';

/** How long a giver may take, in milliseconds. */
const DEADLINE = 1000;

/** What the giver is told when its connection is taken. */
const TAKEN = '!';

/**
 * Listens in a directory for the worker `id`, and takes connections over that came to the machine's front door: the launcher sends each through this socket, as a
 * descriptor, with what it has read of it. Only root and the owner may; and what comes must be the owner's, by the
 * kernel's word.
 */
export function listenForHandOver(
  directory: string,
  id: string,
  take: (socket: Socket) => void,
  log: Log,
): Promise<PublicSocket> {
  const newServer = () =>
    createServer({ pauseOnConnect: true, allowHalfOpen: true }, (giver) => {
      receive(giver, take, log).catch((error: Error) => log.error(`hand-over: ${error.message}`));
    });
  return PublicSocket.listen(newServer, directory, HAND_OVER_NAME, id);
}

async function receive(giver: Socket, take: (socket: Socket) => void, log: Log): Promise<void> {
  giver.on('error', () => {});
  giver.setTimeout(DEADLINE, () => giver.destroy());
  try {
    const uid = process.getuid?.() as number;
    const from = peerCredentials(descriptorOf(giver))?.uid;
    if (from !== 0 && from !== uid)
      return log.refusal(`hand-over: uid ${from ?? 'unknown'} may not hand anything over`);
    const descriptor = await announced(giver);
    if (descriptor === undefined) return;
    const owner = peerCredentials(descriptor)?.uid;
    if (owner !== uid) {
      closeSync(descriptor);
      return log.refusal(`hand-over: a connection of uid ${owner ?? 'unknown'} was refused`);
    }
    const read = await everything(giver);
    if (!read) return closeSync(descriptor);
    const socket = new Socket({ fd: descriptor, readable: true, writable: true, allowHalfOpen: true });
    socket.unshift(read);
    // From here on it is ours; before that the giver would offer it again.
    giver.write(TAKEN);
    take(socket);
  } finally {
    giver.end();
  }
}

/** The descriptor that the giver sends; it connects first, so that may take a moment. */
async function announced(giver: Socket): Promise<number | undefined> {
  for (const deadline = performance.now() + DEADLINE; performance.now() < deadline && !giver.destroyed; ) {
    const descriptor = receiveDescriptor(descriptorOf(giver));
    if (descriptor !== undefined) return descriptor;
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return undefined;
}

/** What the giver had read of the connection: all that it sends until it ends. Undefined where it does not get so far. */
function everything(giver: Socket): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    giver.on('data', (chunk) => chunks.push(chunk));
    giver.once('end', () => resolve(Buffer.concat(chunks)));
    giver.once('close', () => resolve(undefined));
    giver.resume();
  });
}
