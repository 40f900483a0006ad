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
  recv(socket: number, data: Buffer, length: number, flags: number): number;
}

let diagnosis: Diagnosis | null | undefined;

/**
 * The uid that owns the connected TCP socket between two ends of this host, by asking the kernel for this one socket:
 * its cost does not grow with their number. Undefined where there is none, or where its process has closed it (the kernel
 * then shows uid 0 and inode 0); `false` where the kernel cannot be asked this way.
 * Source: sock_diag(7).
 */
export function socketOwner(local: Endpoint, remote: Endpoint): number | undefined | false {
  diagnosis ??= open();
  if (!diagnosis) return false;
  const request = socketRequest(local, remote);
  if (diagnosis.send(diagnosis.socket, request, request.length, MSG_DONTWAIT) !== request.length) return false;
  const reply = Buffer.alloc(4096);
  const length = diagnosis.recv(diagnosis.socket, reply, reply.length, MSG_DONTWAIT);
  if (length < HEADER) return false;
  const isAnswer = reply.readUInt16LE(4) === SOCK_DIAG_BY_FAMILY && length >= REPLY.inode + 4;
  // With no such connection the kernel answers with a socket that listens on the port, if there is one.
  const isConnection =
    isAnswer &&
    openStates.includes(reply[REPLY.state] as number) &&
    reply.readUInt16BE(REPLY.sourcePort) === local.port &&
    reply.readUInt16BE(REPLY.destinationPort) === remote.port;
  return isConnection && reply.readUInt32LE(REPLY.inode) !== 0 ? reply.readUInt32LE(REPLY.uid) : undefined;
}

function open(): Diagnosis | null {
  const library = process.platform === 'linux' ? libc()?.library : undefined;
  const socket =
    library?.func('int socket(int, int, int)')(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG) ?? -1;
  if (!library || socket < 0) return null;
  return {
    socket,
    send: library.func('long send(int, void *, size_t, int)'),
    recv: library.func('long recv(int, void *, size_t, int)'),
  };
}

function socketRequest(local: Endpoint, remote: Endpoint): Buffer {
  const request = Buffer.alloc(HEADER + REQUEST);
  const isV4 = isIPv4(withoutPrefix(local.address));
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(SOCK_DIAG_BY_FAMILY, 4);
  request.writeUInt16LE(NLM_F_REQUEST, 6);
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
