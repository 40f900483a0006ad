import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { MAX_SOCKET_PATH } from '../etc/base-directory.ts';
import { asUser } from '../etc/identity.ts';
import { CCAPIError } from '../proto/error.ts';

/** Connects to a UNIX socket that somebody has named: it has to be the user's own, or root's. Throws 223, 224. */
export async function connectToPath(path: string, uid: number): Promise<Socket> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new CCAPIError('ccErrServerUnavailable', `${path} is longer than a socket's path may be: 107 bytes`);
  }
  try {
    const owner = lstatSync(path).uid;
    if (owner !== uid && owner !== 0) {
      throw new CCAPIError('ccErrServerInsecure', `${path} belongs to uid ${owner}; it is not used`);
    }
    return await connected(path);
  } catch (error) {
    if (error instanceof CCAPIError) throw error;
    throw new CCAPIError('ccErrServerUnavailable', `${path}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    });
  }
}

/** How long is waited for room in a queue that is full, and before it is looked again, in milliseconds. */
const QUEUE_DEADLINE = 10_000;
const LOOK_AGAIN = 20;

/**
 * A connection to a UNIX socket; rejects with the system's error. Where too many are on their way to it, waits. With `uid`
 * root goes there with no more rights than that user has.
 */
export async function connected(path: string, uid?: number): Promise<Socket> {
  for (const deadline = performance.now() + QUEUE_DEADLINE; ; await delay(LOOK_AGAIN)) {
    try {
      return await connectedAtOnce(path, uid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || performance.now() > deadline) throw error;
    }
  }
}

function connectedAtOnce(path: string, uid: number | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = uid === undefined ? connect(path) : asUser({ uid }, () => connect(path));
    socket.once('connect', () => resolve(socket.off('error', reject)));
    socket.once('error', reject);
  });
}
