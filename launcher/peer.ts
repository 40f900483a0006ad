import { statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { canAskForPeers, peerCredentials } from '../etc/host.ts';
import { auditSession } from '../etc/session.ts';
import { whoIs } from '../etc/who-is.ts';
import { isLoopback } from './loopback.ts';
import { ownerOfPeer } from './socket-table.ts';

/** Who is at the other end of a connection, as far as the kernel says. */
export interface Peer {
  uid: number | undefined;
  /** Whether the kernel's word is beyond doubt, so that no setting turns the check off. */
  certain: boolean;
  /** The login session, where the kernel says which process is there. */
  session?: string;
  /** For the log; nothing is looked up where nothing is logged. */
  description(): string;
}

/** The peer of a TCP connection; undefined where it comes from another host. */
export function tcpPeer(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!isLoopback(remoteAddress) || !remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  const remote = { address: remoteAddress, port: remotePort };
  const uid = ownerOfPeer(remote, { address: localAddress, port: localPort });
  const description = () => `${remoteAddress} port ${remotePort} (uid ${uid ?? 'unknown'})`;
  return { uid, certain: false, description };
}

/** Whoever made the pipes, or whoever the super-server has connected us with, where that need not be known. */
export function ownPeer(launcherUid: number): Peer {
  return { uid: launcherUid, certain: true, description: () => 'descriptor 0' };
}

/** The peer of a UNIX socket, by the kernel's word. */
export function unixPeer(descriptor: number): Peer {
  const credentials = peerCredentials(descriptor);
  const session = credentials && { session: auditSession(credentials.pid) };
  const description = () => `a UNIX socket (${credentials ? whoIs(credentials) : 'unknown'})`;
  return { uid: credentials?.uid, certain: true, ...session, description };
}

/** Whoever gave a launcher of root's two pipes. Where the kernel cannot be asked, whoever started it stands for them. */
export function unixPeerOfPipes(): Peer {
  if (canAskForPeers()) return unixPeer(0);
  const uid = statSync(`/proc/${process.ppid}`, { throwIfNoEntry: false })?.uid;
  const description = () => `the parent, pid ${process.ppid} (uid ${uid ?? 'unknown'})`;
  return { uid, certain: true, description };
}

/** What each of them sets, all of it or it was somebody else; the first says who the peer is. */
const families = {
  unixserver: ['UNIXREMOTEEUID', 'UNIXREMOTEEGID', 'UNIXREMOTEPID', 'UNIXLOCALPATH', 'UNIXLOCALUID'],
  's6-ipcserver': ['IPCREMOTEEUID', 'IPCREMOTEEGID', 'IPCREMOTEPATH', 'IPCCONNNUM'],
} as const;
const protocols = { unixserver: 'UNIX', 's6-ipcserver': 'IPC' } as const;

/**
 * The peer of the UNIX socket on descriptor 0. Where ucspi's unixserver or s6-ipcserver has started us and says who that
 * is, it has to be who the kernel says: else somebody has set the variables who had no business to.
 */
export function unixPeerAtStdin(env: NodeJS.ProcessEnv): Peer {
  const peer = unixPeer(0);
  for (const server of ['unixserver', 's6-ipcserver'] as const) {
    const family = families[server];
    if (env.PROTO !== protocols[server] || !family.every((name) => env[name] !== undefined)) continue;
    const said = env[family[0]];
    if (said !== String(peer.uid)) {
      const description = () => `${peer.description()}, of whom ${server} says uid ${said}`;
      return { ...peer, uid: undefined, description };
    }
  }
  return peer;
}
