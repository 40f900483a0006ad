import { type Libc, libc } from './libc.ts';

const SOL_SOCKET = 1;
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
    recv: library.func('long recv(int, void *, size_t, int)'),
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

const MSG_PEEK = 2;
const firstByte = Buffer.alloc(1);

/** The first byte that a socket has received, which stays unread; undefined while it has none, and where it ended. */
export function peekByte(socket: number): number | undefined {
  const length = descriptorHost()?.recv(socket, firstByte, 1, MSG_PEEK | MSG_DONTWAIT);
  return length === 1 ? firstByte[0] : undefined;
}
