import { type Libc, libc, systemError } from './libc.ts';

const SOL_SOCKET = 1;
const SCM_RIGHTS = 1;
const SO_PRIORITY = 12;
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const MSG_NOSIGNAL = 0x4000;
const MSG_CMSG_CLOEXEC = 0x40000000;

/**
 * Where things are in one message with one descriptor, on 64-bit Linux: struct msghdr, then its one struct iovec, its
 * control message (struct cmsghdr, and the descriptor), and its one byte. Source: recvmsg(2), cmsg(3).
 */
const AT = {
  vectors: 16,
  vectorCount: 24,
  control: 32,
  controlLength: 40,
  iovec: 56,
  cmsg: 72,
  descriptor: 88,
  byte: 96,
};
const SIZE = 104;
const CONTROL_LENGTH = 24;

/** Of a control message: its header, and the descriptor. */
const CMSG_LENGTH = 20;

interface DescriptorCalls {
  recv(socket: number, data: Buffer, length: number, flags: number): number;
  poll(descriptors: Int32Array, count: number, milliseconds: number): number;
  sendmsg(socket: number, message: unknown, flags: number): number;
  recvmsg(socket: number, message: unknown, flags: number): number;
  getsockopt(socket: number, level: number, option: number, value: Uint32Array, length: Uint32Array): number;
  setsockopt(socket: number, level: number, option: number, value: Uint32Array, length: number): number;
  /** A message in memory that stays in its place, and the bytes of it. */
  message: unknown;
  bytes: DataView;
}

let descriptorCalls: DescriptorCalls | undefined;

function declareCalls({ koffi, library }: Libc): DescriptorCalls {
  const message = koffi.alloc('uint8_t', SIZE);
  const bytes = new DataView(koffi.view(message, SIZE));
  const address = BigInt(koffi.address(message));
  const pointers = { [AT.vectors]: AT.iovec, [AT.control]: AT.cmsg, [AT.iovec]: AT.byte };
  for (const [at, to] of Object.entries(pointers)) bytes.setBigUint64(Number(at), address + BigInt(to), true);
  bytes.setBigUint64(AT.vectorCount, 1n, true);
  bytes.setBigUint64(AT.iovec + 8, 1n, true);
  return {
    recv: library.func('long recv(int, void *, size_t, int)'),
    poll: library.func('int poll(void *, ulong, int)'),
    sendmsg: library.func('long sendmsg(int, void *, int)'),
    recvmsg: library.func('long recvmsg(int, void *, int)'),
    getsockopt: library.func('int getsockopt(int, int, int, void *, void *)'),
    setsockopt: library.func('int setsockopt(int, int, int, void *, uint32_t)'),
    message,
    bytes,
  };
}

function callsHere(): DescriptorCalls | undefined {
  if (descriptorCalls) return descriptorCalls;
  const calls = process.platform === 'linux' && ['x64', 'arm64'].includes(process.arch) ? libc() : undefined;
  if (calls) descriptorCalls = declareCalls(calls);
  return descriptorCalls;
}

/** Whether descriptors can be sent here at all: this is 64-bit Linux, and koffi is there. */
export function canSendDescriptors(): boolean {
  return callsHere() !== undefined;
}

/**
 * Sends a descriptor over a UNIX socket, with the one byte that has to go beside it. Returns the system's error where the
 * socket does not take it: EAGAIN while it is full, EPIPE where its other end is gone, ETOOMANYREFS where too many are on
 * their way. Needs {@link canSendDescriptors}. Source: unix(7), SCM_RIGHTS.
 */
export function sendDescriptor(socket: number, descriptor: number): NodeJS.ErrnoException | undefined {
  const calls = callsHere();
  if (!calls) return Object.assign(new Error('ENOSYS: sendmsg'), { code: 'ENOSYS' });
  const { bytes } = calls;
  bytes.setBigUint64(AT.controlLength, BigInt(CONTROL_LENGTH), true);
  bytes.setBigUint64(AT.cmsg, BigInt(CMSG_LENGTH), true);
  bytes.setInt32(AT.cmsg + 8, SOL_SOCKET, true);
  bytes.setInt32(AT.cmsg + 12, SCM_RIGHTS, true);
  bytes.setInt32(AT.descriptor, descriptor, true);
  const length = Number(calls.sendmsg(socket, calls.message, MSG_DONTWAIT | MSG_NOSIGNAL));
  return length === 1 ? undefined : systemError('sendmsg');
}

/**
 * Receives what {@link sendDescriptor} sent, marked to be closed at an exec; undefined while nothing has come. There is room
 * for one descriptor: the kernel closes any other.
 */
export function receiveDescriptor(socket: number): number | undefined {
  const calls = callsHere();
  if (!calls) return undefined;
  const { bytes } = calls;
  bytes.setBigUint64(AT.controlLength, BigInt(CMSG_LENGTH), true);
  const length = Number(calls.recvmsg(socket, calls.message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
  const carries =
    bytes.getBigUint64(AT.controlLength, true) >= CMSG_LENGTH &&
    bytes.getInt32(AT.cmsg + 8, true) === SOL_SOCKET &&
    bytes.getInt32(AT.cmsg + 12, true) === SCM_RIGHTS;
  return length === 1 && carries ? bytes.getInt32(AT.descriptor, true) : undefined;
}

const firstByte = Buffer.alloc(1);

/** The first byte that a socket has received, which stays unread; undefined while it has none, and where it ended. */
export function peekByte(socket: number): number | undefined {
  const length = callsHere()?.recv(socket, firstByte, 1, MSG_PEEK | MSG_DONTWAIT);
  return Number(length) === 1 ? firstByte[0] : undefined;
}

const mark = new Uint32Array(1);
const markLength = new Uint32Array(1);

/**
 * Marks a UNIX socket in a way that every process with a descriptor of it sees at once, also after the end of this one.
 * The mark is the socket's priority, which says nothing on a UNIX socket. Source: socket(7), SO_PRIORITY.
 */
export function markSocket(socket: number): void {
  mark[0] = 1;
  callsHere()?.setsockopt(socket, SOL_SOCKET, SO_PRIORITY, mark, mark.byteLength);
}

/** Whether a socket was marked by {@link markSocket}. */
export function isMarked(socket: number): boolean {
  markLength[0] = mark.byteLength;
  return callsHere()?.getsockopt(socket, SOL_SOCKET, SO_PRIORITY, mark, markLength) === 0 && mark[0] === 1;
}

const received = Buffer.alloc(65_536);

/**
 * What a socket has received by now, up to 64 KiB; empty where that is nothing, and where it ended. The next call uses the same
 * memory, and the caller overwrites it. Source: recv(2).
 */
export function receiveBytes(socket: number): Buffer {
  const length = Number(callsHere()?.recv(socket, received, received.length, MSG_DONTWAIT) ?? -1);
  return received.subarray(0, Math.max(length, 0));
}

const POLLIN = 1;
const POLLHUP = 0x10;
/** struct pollfd: the descriptor, and the events that are asked for and found, 16 bits each. */
const polled = new Int32Array(2);

/** Whether the other end of a UNIX socket is closed for good, and so empty of what was sent there. Source: poll(2). */
export function isHungUp(socket: number): boolean {
  return ((eventsOf(socket) ?? 0) & POLLHUP) !== 0;
}

/** Whether something can be read of a descriptor by now, or its other end is closed; undefined where that cannot be asked. */
export function hasInput(descriptor: number): boolean | undefined {
  const events = eventsOf(descriptor);
  return events === undefined ? undefined : events !== 0;
}

/** What has happened to a descriptor, as poll(2) says it; undefined where it cannot be asked. */
function eventsOf(descriptor: number): number | undefined {
  const calls = callsHere();
  if (!calls) return undefined;
  polled[0] = descriptor;
  polled[1] = POLLIN;
  return calls.poll(polled, 1, 0) > 0 ? polled[1] >>> 16 : 0;
}

const AF_UNIX = 1;
const SOCK_STREAM = 1;
const SOCK_NONBLOCK = 0o4000;
const SOCK_CLOEXEC = 0o2000000;

/** Two UNIX sockets that are connected to each other; undefined where there are none to be had. Source: socketpair(2). */
export function socketPair(): [number, number] | undefined {
  const make = callsHere() && libc()?.library.func('int socketpair(int, int, int, void *)');
  const pair = new Int32Array(2);
  const failed = make?.(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) !== 0;
  return failed ? undefined : (Array.from(pair) as [number, number]);
}
