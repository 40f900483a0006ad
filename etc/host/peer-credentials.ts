import { readFileSync } from 'node:fs';
import { libc } from './libc.ts';

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
export function hasPeerCredentials(): boolean {
  const calls = process.platform === 'linux' ? libc() : undefined;
  if (calls) getsockopt ??= calls.library.func('int getsockopt(int, int, int, void *, void *)');
  return calls !== undefined;
}

/** Where the kernel puts struct ucred, for one call at a time. */
const credentials = new Uint32Array(3);
const credentialsLength = new Uint32Array(1);

/**
 * The process that connected to a UNIX socket or made a socket pair, by the kernel's word; undefined where it cannot be asked (the
 * descriptor is no UNIX socket, this is not Linux, or koffi is missing). Source: unix(7), SO_PEERCRED.
 */
export function peerCredentials(descriptor: number): { pid: number; uid: number; gid: number } | undefined {
  if (!hasPeerCredentials() || !getsockopt) return undefined;
  credentialsLength[0] = credentials.byteLength;
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, credentialsLength) !== 0) return undefined;
  const [pid, uid, gid] = credentials as unknown as [number, number, number];
  // The kernel answers pid 0 and uid -1 for a socket that has no peer of its own host.
  return pid === 0 ? undefined : { pid, uid, gid };
}

/** Whether a socket listens; undefined where it cannot be asked. Source: socket(7), SO_ACCEPTCONN. */
export function isListeningSocket(descriptor: number): boolean | undefined {
  if (!hasPeerCredentials() || !getsockopt) return undefined;
  const [value, length] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32LE(value.length);
  if (getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, value, length) !== 0) return undefined;
  return value.some((byte) => byte !== 0);
}

/** Who the kernel says is there, for the log: uid, pid and the name of the program, as far as it can be seen. */
export function describePeer({ uid, pid }: { uid: number; pid: number }): string {
  try {
    return `uid ${uid}, pid ${pid} (${readFileSync(`/proc/${pid}/comm`, 'latin1').trim()})`;
  } catch {
    // It has ended, or there is no such directory.
    return `uid ${uid}, pid ${pid}`;
  }
}
