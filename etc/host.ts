/** The few calls of the C library that Node lacks. koffi is loaded at the first of them, never before. */

type Koffi = typeof import('koffi');

let loaded: { koffi: Koffi; libc: ReturnType<Koffi['load']> } | null | undefined;

function host(): { koffi: Koffi; libc: ReturnType<Koffi['load']> } | null {
  if (loaded === undefined) {
    try {
      const koffi: Koffi = require('koffi');
      loaded = { koffi, libc: koffi.load(null) };
    } catch {
      // Not installed, or not for this machine: what needs it says so, or does without.
      loaded = null;
    }
  }
  return loaded;
}

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;

/**
 * Whom the kernel saw connect to a UNIX socket, or make a socket pair; undefined where it cannot be asked (the
 * descriptor is no UNIX socket, this is not Linux, or koffi is missing). Source: unix(7), SO_PEERCRED.
 */
export function peerCredentials(descriptor: number): { pid: number; uid: number; gid: number } | undefined {
  const calls = process.platform === 'linux' ? host() : null;
  if (!calls) return undefined;
  const getsockopt = calls.libc.func('int getsockopt(int, int, int, void *, void *)');
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
  const words = new Int32Array(credentials.buffer, credentials.byteOffset, 3);
  const [pid, uid, gid] = [words[0] as number, (words[1] as number) >>> 0, (words[2] as number) >>> 0];
  // The kernel answers pid 0 and uid -1 for a socket that has no peer of its own host.
  return pid === 0 ? undefined : { pid, uid, gid };
}

/** Facilities and levels of syslog(3). */
export const syslogFacility = { daemon: 3 << 3, authpriv: 10 << 3 } as const;
export const syslogLevel = { error: 3, warning: 4, info: 6 } as const;

const LOG_PID = 1;
let identity: Buffer | undefined;

/** Writes one line to the system log under a program's name; false where there is no way to. */
export function syslog(program: string, priority: number, message: string): boolean {
  const calls = host();
  if (!calls) return false;
  if (!identity) {
    // The C library keeps the pointer, so the name must stay where it is.
    identity = Buffer.from(`${program}\0`);
    calls.libc.func('void openlog(void *, int, int)')(identity, LOG_PID, syslogFacility.daemon);
  }
  calls.libc.func('void syslog(int, const char *, ...)')(priority, '%s', 'const char *', message);
  return true;
}
