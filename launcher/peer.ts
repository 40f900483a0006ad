import type { Socket } from 'node:net';
import { peerCredentials } from '../etc/host.ts';
import { isLoopback } from './loopback.ts';
import { ownerOfPeer } from './socket-table.ts';

/** Who is at the other end of a connection, as far as the kernel says. */
export interface Peer {
  uid: number | undefined;
  /** Whether the kernel's word is beyond doubt, so that no setting turns the check off. */
  certain: boolean;
  /** For the log. */
  description: string;
}

/** The peer of a TCP connection; undefined where it comes from another host. */
export function tcpPeer(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!isLoopback(remoteAddress) || !remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  const remote = { address: remoteAddress, port: remotePort };
  const uid = ownerOfPeer(remote, { address: localAddress, port: localPort });
  return { uid, certain: false, description: `${remoteAddress} port ${remotePort} (uid ${uid ?? 'unknown'})` };
}

/**
 * The peer of a connection on descriptor 0 that is no TCP connection: whoever connected, or made the socket pair or the
 * pipes. Without root the launcher serves nobody but the uid it runs as, whoever asks, so the kernel need not be asked.
 */
export function stdinPeer(launcherUid: number): Peer {
  return launcherUid === 0 ? unixPeer(0) : { uid: launcherUid, certain: true, description: 'descriptor 0' };
}

/** The peer of a UNIX socket, by the kernel's word. */
export function unixPeer(descriptor: number): Peer {
  const credentials = peerCredentials(descriptor);
  const who = credentials ? `uid ${credentials.uid}, pid ${credentials.pid}` : 'unknown';
  return { uid: credentials?.uid, certain: true, description: `a UNIX socket (${who})` };
}
