import { lstatSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { FRONT_DOOR, MAX_SOCKET_PATH } from '../etc/config/paths.ts';
import { asUser } from '../etc/host/identity.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { checkUnreplaceableFile } from '../etc/host/private-directory.ts';
import { OVERFLOW_UID, uidOutside } from '../etc/host/user-namespace.ts';
import { CCAPIError, InsecurePathError } from '../proto/errors.ts';

/**
 * Connects to a UNIX socket that the settings name: it has to be the user's own or root's, in a place where no other user
 * can exchange it. Throws 223, 224. Returns the path without links to which it connected.
 */
export async function connectToPath(given: string, uid: number): Promise<{ socket: Socket; path: string }> {
  try {
    checkLength(given);
    const path = checkUnreplaceableFile(given, uid);
    checkLength(path);
    const owner = lstatSync(path).uid;
    if (owner !== uid && owner !== 0) {
      throw new InsecurePathError(`${path} belongs to uid ${owner}; it is not used`);
    }
    return { socket: await openSocket(path), path };
  } catch (error) {
    if (error instanceof CCAPIError) throw error;
    throw new CCAPIError('ccErrServerUnavailable', `${given}: ${(error as NodeJS.ErrnoException).code}`, {
      cause: error,
    });
  }
}

/**
 * Connects to the door of stock programs, as {@link connectToPath} does. In a user namespace root's own door belongs to no
 * known uid: its place, below /run, is then all there is to trust, as for libkrb5.
 */
export async function connectToDoor(path: string, uid: number): Promise<{ socket: Socket; path: string }> {
  const isOfNone = uidOutside() !== undefined && lstatSync(path, { throwIfNoEntry: false })?.uid === OVERFLOW_UID;
  if (path !== FRONT_DOOR || !isOfNone) return connectToPath(path, uid);
  return { socket: await openSocket(path), path };
}

/** Refuses a path that Node would cut without a word. */
export function checkLength(path: string): void {
  if (Buffer.byteLength(path) <= MAX_SOCKET_PATH) return;
  throw new CCAPIError('ccErrServerUnavailable', `${path} is longer than a socket's path may be: 107 bytes`);
}

/** How long is waited for room in a queue that is full, and before it is looked again, in milliseconds. */
const QUEUE_DEADLINE = 10_000;
const LOOK_AGAIN = 20;

/**
 * A connection to a UNIX socket; rejects with the system's error. Where too many are on their way to it, waits. With `uid`
 * root goes there with no more rights than that user has.
 */
export async function openSocket(path: string, uid?: number): Promise<Socket> {
  for (const deadline = monotonic() + QUEUE_DEADLINE; ; await delay(LOOK_AGAIN)) {
    try {
      return await openSocketOnce(path, uid);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EAGAIN' || monotonic() > deadline) throw error;
    }
  }
}

function openSocketOnce(path: string, uid: number | undefined): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = uid === undefined ? connect(path) : asUser({ uid }, () => connect(path));
    socket.once('connect', () => resolve(socket.off('error', reject)));
    socket.once('error', reject);
  });
}
