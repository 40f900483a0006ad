import { isIPv4 } from 'node:net';
import { libc } from './libc.ts';

/** One end of a TCP connection; an IPv4 address, also in its IPv6 form, or an IPv6 one. */
export interface Endpoint {
  address: string;
  port: number;
}

const AF_INET = 2;
const AF_INET6 = 10;
const AF_NETLINK = 16;
const SOCK_RAW = 3;
const SOCK_CLOEXEC = 0o2000000;
const NETLINK_SOCK_DIAG = 4;
const SOCK_DIAG_BY_FAMILY = 20;
const NLM_F_REQUEST = 1;
const MSG_DONTWAIT = 0x40;
const IPPROTO_TCP = 6;

/** The states of an end that its process still has open; in the last two it has sent all that it will. Source: tcp_states.h. */
const ESTABLISHED = 1;
const FIN_WAIT1 = 4;
const FIN_WAIT2 = 5;
const openStates: readonly number[] = [ESTABLISHED, FIN_WAIT1, FIN_WAIT2];

/** Bytes of struct nlmsghdr and struct inet_diag_req_v2, and where struct inet_diag_msg has what is read of it. */
const HEADER = 16;
const REQUEST = 56;
const REPLY = {
  state: HEADER + 1,
  sourcePort: HEADER + 4,
  destinationPort: HEADER + 6,
  uid: HEADER + 64,
  inode: HEADER + 68,
};

interface Diagnosis {
  socket: number;
  send(socket: number, data: Buffer, length: number, flags: number): number;
  recvfrom(socket: number, data: Buffer, length: number, flags: number, sender: Buffer, senderLength: Buffer): number;
}

/** Where struct nlmsghdr and struct sockaddr_nl have what is read of them, and the latter's size. */
const SEQUENCE = 8;
const SENDER = { port: 4, size: 12 };

/** The kernel's own port id. */
const KERNEL = 0;

let diagnosis: Diagnosis | null | undefined;

/** The number of the last request. */
let sequence = 0;

/**
 * The uid that owns the connected TCP socket between two ends of this host, by asking the kernel for this one socket:
 * its cost does not grow with their number. Undefined where there is none, or where its process has closed it (the kernel
 * then shows uid 0 and inode 0); `false` where the kernel cannot be asked this way.
 * Source: sock_diag(7), netlink(7).
 */
export function socketOwner(local: Endpoint, remote: Endpoint): number | undefined | false {
  diagnosis ??= open();
  if (!diagnosis) return false;
  sequence = (sequence + 1) >>> 0;
  const request = socketRequest(local, remote, sequence);
  if (diagnosis.send(diagnosis.socket, request, request.length, MSG_DONTWAIT) !== request.length) return false;
  const reply = Buffer.alloc(4096);
  const length = receiveReply(diagnosis, reply, sequence);
  if (length < 0) return false;
  const isAnswer = reply.readUInt16LE(4) === SOCK_DIAG_BY_FAMILY && length >= REPLY.inode + 4;
  // With no such connection the kernel answers with a socket that listens on the port, if there is one.
  const isConnection =
    isAnswer &&
    openStates.includes(reply[REPLY.state] as number) &&
    reply.readUInt16BE(REPLY.sourcePort) === local.port &&
    reply.readUInt16BE(REPLY.destinationPort) === remote.port;
  return isConnection && reply.readUInt32LE(REPLY.inode) !== 0 ? reply.readUInt32LE(REPLY.uid) : undefined;
}

/**
 * Receives the kernel's reply to a request, and drops what is none: one to an earlier request that was not read then, and
 * what another process sent. Its length, at least a header's; -1 where there is none.
 */
function receiveReply({ socket, recvfrom }: Diagnosis, reply: Buffer, sequence: number): number {
  const sender = Buffer.alloc(SENDER.size);
  const senderLength = Buffer.alloc(4);
  for (;;) {
    senderLength.writeUInt32LE(sender.length);
    const length = recvfrom(socket, reply, reply.length, MSG_DONTWAIT, sender, senderLength);
    if (length < 0) return -1;
    const isKernels = senderLength.readUInt32LE() === sender.length && sender.readUInt32LE(SENDER.port) === KERNEL;
    if (isKernels && length >= HEADER && reply.readUInt32LE(SEQUENCE) === sequence) return length;
  }
}

function open(): Diagnosis | null {
  const library = process.platform === 'linux' ? libc()?.library : undefined;
  const socket =
    library?.func('int socket(int, int, int)')(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) ?? -1;
  if (!library || socket < 0) return null;
  return {
    socket,
    send: library.func('long send(int, void *, size_t, int)'),
    recvfrom: library.func('long recvfrom(int, void *, size_t, int, void *, void *)'),
  };
}

function socketRequest(local: Endpoint, remote: Endpoint, sequence: number): Buffer {
  const request = Buffer.alloc(HEADER + REQUEST);
  const isV4 = isIPv4(withoutPrefix(local.address));
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
  request.writeUInt32LE(sequence, SEQUENCE);
  request[HEADER] = isV4 ? AF_INET : AF_INET6;
  request[HEADER + 1] = IPPROTO_TCP;
  request.writeUInt32LE(
    openStates.reduce((states, state) => states | (1 << state), 0),
    HEADER + 4,
  );
  request.writeUInt16BE(local.port, HEADER + 8);
  request.writeUInt16BE(remote.port, HEADER + 10);
  addressBytes(local.address).copy(request, HEADER + 12);
  addressBytes(remote.address).copy(request, HEADER + 28);
  // INET_DIAG_NOCOOKIE: which socket it is, is said by its ends alone.
  request.fill(0xff, HEADER + 48, HEADER + 56);
  return request;
}

/** Loopback is all that is asked for: of IPv6 addresses `::1`. */
function addressBytes(address: string): Buffer {
  const v4 = withoutPrefix(address);
  if (isIPv4(v4)) return Buffer.from(v4.split('.').map(Number));
  const bytes = Buffer.alloc(16);
  bytes[15] = 1;
  return bytes;
}

function withoutPrefix(address: string): string {
  return address.replace(/^::ffff:/i, '');
}
