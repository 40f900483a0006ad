import { libc } from './libc.ts';

/** Facilities and levels of syslog(3). */
export const syslogFacility = { daemon: 3 << 3, authpriv: 10 << 3 } as const;
export const syslogLevel = { error: 3, warning: 4, info: 6 } as const;

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

/** Where the system's logger listens. */
const LOG_SOCKET = '/dev/log';

interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  connect(socket: number, address: Buffer, length: number): number;
  send(socket: number, data: Buffer, length: number, flags: number): number;
  close(socket: number): number;
}

let calls: Calls | null | undefined;
let logger = -1;

/**
 * Writes one line to the system log under a program's name, in the form of syslog(3); false where it is not taken. The C
 * library's own call waits for a logger that does not keep up, and with it would every user of a launcher.
 */
export function syslog(program: string, priority: number, message: string): boolean {
  const now = new Date();
  const day = String(now.getDate()).padStart(2);
  const time = now.toTimeString().slice(0, 8);
  const month = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'][now.getMonth()];
  const line = Buffer.from(`<${priority}>${month} ${day} ${time} ${program}[${process.pid}]: ${message}`);
  if (logger >= 0 && sendAtOnce(logger, line)) return true;
  // It may have been restarted since.
  return reconnect() && sendAtOnce(logger, line);
}

/** Sends to a socket all of it, or nothing and without waiting; false where that cannot be done. */
export function sendAtOnce(socket: number, data: Buffer): boolean {
  calls ??= declare();
  return calls?.send(socket, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL) === data.length;
}

function reconnect(): boolean {
  calls ??= declare();
  if (!calls) return false;
  if (logger >= 0) calls.close(logger);
  logger = calls.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const address = Buffer.alloc(110);
  address.writeUInt16LE(AF_UNIX, 0);
  address.write(LOG_SOCKET, 2);
  return logger >= 0 && calls.connect(logger, address, address.length) === 0;
}

function declare(): Calls | null {
  const library = process.platform === 'linux' ? libc()?.library : undefined;
  if (!library) return null;
  return {
    socket: library.func('int socket(int, int, int)'),
    connect: library.func('int connect(int, void *, uint32_t)'),
    send: library.func('long send(int, void *, size_t, int)'),
    close: library.func('int close(int)'),
  };
}
