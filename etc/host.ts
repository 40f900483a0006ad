/** What Node lacks of sockets and descriptors. */

import type { Socket } from 'node:net';
import { type Libc, libc } from './libc.ts';

export { withoutKoffi } from './libc.ts';

const SOL_SOCKET = 1;
const SO_PEERCRED = 17;
const SO_ACCEPTCONN = 30;

let getsockopt: ((socket: number, level: number, option: number, value: Buffer, length: Buffer) => number) | undefined;

/** Whether {@link peerCredentials} can be asked here at all: this is Linux, and koffi is there. Loads it. */
export function canAskForPeers(): boolean {
  const calls = process.platform === 'linux' ? libc() : undefined;
  if (calls) getsockopt ??= calls.library.func('int getsockopt(int, int, int, void *, void *)');
  return calls !== undefined;
}

/**
 * Whom the kernel saw connect to a UNIX socket, or make a socket pair; undefined where it cannot be asked (the
 * descriptor is no UNIX socket, this is not Linux, or koffi is missing). Source: unix(7), SO_PEERCRED.
 */
export function peerCredentials(descriptor: number): { pid: number; uid: number; gid: number } | undefined {
  if (!canAskForPeers() || !getsockopt) return undefined;
  const credentials = Buffer.alloc(12);
  const length = Buffer.alloc(4);
  length.writeUInt32LE(credentials.length);
  if (getsockopt(descriptor, SOL_SOCKET, SO_PEERCRED, credentials, length) !== 0) return undefined;
  const words = new Int32Array(credentials.buffer, credentials.byteOffset, 3);
  const [pid, uid, gid] = [words[0] as number, (words[1] as number) >>> 0, (words[2] as number) >>> 0];
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

function handleOf(socket: Socket): Handle {
  return (socket as unknown as { _handle: Handle })._handle;
}

/** The descriptor of an open socket; the kernel's questions are asked of descriptors. */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket).fd;
}

/** Has nothing more read from a socket, at once: `pause` alone reads on until its buffer is full. */
export function stopReading(socket: Socket): void {
  const handle = handleOf(socket);
  socket.pause();
  handle.reading = false;
  handle.readStop();
}

/** Undoes {@link stopReading}; `resume` does not, since the stream believes that it reads. */
export function readOn(socket: Socket): void {
  const handle = handleOf(socket);
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

const SCM_RIGHTS = 1;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/** A control message that carries one descriptor, on 64-bit Linux: struct cmsghdr (length, level, type), then it. */
const DESCRIPTOR_MESSAGE = 20;

let descriptorCalls: ReturnType<typeof declareDescriptorCalls> | undefined;

function declareDescriptorCalls({ koffi, library }: Libc) {
  koffi.struct('iovec', { base: 'void *', length: 'size_t' });
  koffi.struct('msghdr', {
    name: 'void *',
    nameLength: 'uint32_t',
    vectors: 'iovec *',
    vectorCount: 'size_t',
    control: 'void *',
    controlLength: 'size_t',
    flags: 'int',
  });
  return {
    sendmsg: library.func('long sendmsg(int, const msghdr *, int)'),
    recvmsg: library.func('long recvmsg(int, msghdr *, int)'),
  };
}

function descriptorHost(): ReturnType<typeof declareDescriptorCalls> | undefined {
  const calls = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch) ? libc() : undefined;
  if (calls) descriptorCalls ??= declareDescriptorCalls(calls);
  return descriptorCalls;
}

function messageOf(data: Buffer, control: Buffer) {
  return {
    name: null,
    nameLength: 0,
    vectors: [{ base: data, length: data.length }],
    vectorCount: 1,
    control,
    controlLength: control.length,
    flags: 0,
  };
}

/** Whether descriptors can be sent here at all: this is 64-bit Linux, and koffi is there. */
export function canSendDescriptors(): boolean {
  return descriptorHost() !== undefined;
}

/**
 * Sends a descriptor over a UNIX socket, with the one byte that has to go beside it. False where that cannot be done, or
 * the socket does not take it, as when nobody is at its other end any more. Source: unix(7), SCM_RIGHTS.
 */
export function sendDescriptor(socket: number, descriptor: number): boolean {
  const calls = descriptorHost();
  if (!calls) return false;
  const control = Buffer.alloc(DESCRIPTOR_MESSAGE + 4);
  control.writeBigUInt64LE(BigInt(DESCRIPTOR_MESSAGE), 0);
  control.writeInt32LE(SOL_SOCKET, 8);
  control.writeInt32LE(SCM_RIGHTS, 12);
  control.writeInt32LE(descriptor, 16);
  return calls.sendmsg(socket, messageOf(Buffer.alloc(1), control), MSG_DONTWAIT | MSG_NOSIGNAL) === 1;
}

/** Receives what {@link sendDescriptor} sent; undefined while nothing has come. */
export function receiveDescriptor(socket: number): number | undefined {
  const calls = descriptorHost();
  const control = Buffer.alloc(DESCRIPTOR_MESSAGE + 4);
  const length = calls?.recvmsg(socket, messageOf(Buffer.alloc(1), control), MSG_DONTWAIT | MSG_CMSG_CLOEXEC) ?? -1;
  const carries = control.readInt32LE(8) === SOL_SOCKET && control.readInt32LE(12) === SCM_RIGHTS;
  return length === 1 && carries ? control.readInt32LE(16) : undefined;
}
