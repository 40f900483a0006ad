import { libc } from './libc.ts';

const AF_UNIX = 1;
const SOCK_DGRAM = 2;
const SOCK_CLOEXEC = 0o2000000;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;

interface Calls {
  socket(domain: number, type: number, protocol: number): number;
  connect(socket: number, address: Buffer, length: number): number;
  send(socket: number, data: Buffer, length: number, flags: number): number;
  close(socket: number): number;
}

let calls: Calls | null | undefined;

/** A datagram socket that is connected to a path, or with `@` before it to an abstract name; undefined where it cannot be. */
export function connectDatagram(path: string): number | undefined {
  calls ??= declare();
  const socket = calls?.socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0) ?? -1;
  if (!calls || socket < 0) return undefined;
  const name = Buffer.from(path.startsWith('@') ? path.replace('@', '\0') : `${path}\0`);
  const address = Buffer.concat([Buffer.of(AF_UNIX, 0), name]);
  if (calls.connect(socket, address, address.length) === 0) return socket;
  calls.close(socket);
  return undefined;
}

/** Sends to a socket all of it, or nothing and without waiting; false where that cannot be done. */
export function sendAtOnce(socket: number, data: Buffer): boolean {
  calls ??= declare();
  return calls?.send(socket, data, data.length, MSG_DONTWAIT | MSG_NOSIGNAL) === data.length;
}

/** Closes what {@link connectDatagram} returned. */
export function closeDatagram(socket: number): void {
  calls?.close(socket);
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
