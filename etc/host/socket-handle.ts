/** What Node lacks of sockets and descriptors. */

import type { Socket } from 'node:net';
import { libc } from './libc.ts';

export { withoutKoffi } from './libc.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;

let getsockopt:
  | ((
      socket: number,
      level: number,
      option: number,
      value: Buffer | Uint32Array,
      length: Buffer | Uint32Array,
    ) => number)
  | undefined;

/** Whether {@link peerCredentials} can be asked here at all: this is Linux, and koffi is there. Loads it. */
export function canAskForPeers(): boolean {
  const calls = process.platform === 'linux' ? libc() : undefined;
  if (calls) getsockopt ??= calls.library.func('int getsockopt(int, int, int, void *, void *)');
  return calls !== undefined;
}

/** Where the kernel puts struct ucred, for one call at a time. */
const credentials = new Uint32Array(3);
const credentialsLength = new Uint32Array(1);

/**
 * Whom the kernel saw connect to a UNIX socket, or make a socket pair; undefined where it cannot be asked (the
 * descriptor is no UNIX socket, this is not Linux, or koffi is missing). Source: unix(7), SO_PEERCRED.
 */
export function peerCredentials(descriptor: number): { pid: number; uid: number; gid: number } | undefined {
  if (!canAskForPeers() || !getsockopt) return undefined;
  credentialsLength[0] = credentials.byteLength;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, credentialsLength) !== 0) return undefined;
  const [pid, uid, gid] = credentials as unknown as [number, number, number];
  // The kernel answers pid 0 and uid -1 for a socket that has no peer of its own host.
  return pid === 0 ? undefined : { pid, uid, gid };
}

/** Whether a socket listens; undefined where it cannot be asked. Source: socket(7), SO_ACCEPTCONN. */
export function isListeningSocket(descriptor: number): boolean | undefined {
  if (!canAskForPeers() || !getsockopt) return undefined;
  const [value, length] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32LE(value.length);
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, value, length) !== 0) return undefined;
  return value.some((byte) => byte !== 0);
}

/** What Node keeps of a socket, and shows to nobody. */
interface Handle {
  fd: number;
  reading: boolean;
  readStart(): void;
  readStop(): void;
}

function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle;
}

/** The descriptor of a socket; the kernel's questions are asked of descriptors. -1, which is none, once it is closed. */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}

/** Has nothing more read from a socket, at once: `pause` alone reads on until its buffer is full. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  socket.pause();
  if (!handle) return;
  handle.reading = false;
  handle.readStop();
}

/** Undoes {@link stopReading}; `resume` does not, since the stream believes that it reads. */
export function readOn(socket: Socket): void {
  const handle = handleOf(socket);
  if (!handle) return;
  handle.reading = true;
  handle.readStart();
}

const LOCK_EX = 2;
const LOCK_NB = 4;
const EAGAIN = 11;

/**
 * Locks an open file or directory until this process ends or closes it: true once it is locked, false while another
 * process has it, undefined where the C library cannot be called or the file system has no such locks. Source: flock(2).
 */
export function lockExclusively(descriptor: number): boolean | undefined {
  const calls = process.platform === 'linux' ? libc() : undefined;
  if (!calls) return undefined;
  if (calls.library.func('int flock(int, int)')(descriptor, LOCK_EX | LOCK_NB) === 0) return true;
  return calls.koffi.errno() === EAGAIN ? false : undefined;
}
