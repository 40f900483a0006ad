import { statSync } from 'node:fs';
import type { Socket } from 'node:net';
import { auditSession } from '../etc/host/login-session.ts';
import { describePeer, hasPeerCredentials, peerCredentials } from '../etc/host/peer-credentials.ts';
import { type Endpoint, socketOwner } from '../etc/host/socket-diag.ts';
import { RendezvousError } from '../proto/rendezvous.ts';
import { findPeerOwner } from './socket-table.ts';

/** The other end of a connection, as far as the kernel tells of it. */
export interface Peer {
  /** The uid, where the kernel tells it at once. */
  uid: number | undefined;
  /** The uid, also where to find it costs more the more connections the machine has: for a peer that has sent its line. */
  identify(): number | undefined;
  /** Whether the kernel's word is beyond doubt, so that no setting turns the check off. */
  certain: boolean;
  /** The login session, where the kernel tells which process it is. Throws a {@link RendezvousError} where it is hidden. */
  session(): string | undefined;
  /** For the log; nothing is looked up where nothing is logged. */
  describe(): string;
}

/** The peer of a TCP connection; undefined where it comes from another host. */
export function tcpPeer(socket: Socket): Peer | undefined {
  const { remoteAddress, remotePort, localAddress, localPort } = socket;
  if (!isLoopback(remoteAddress) || !remoteAddress || !remotePort || !localAddress || !localPort) return undefined;
  const remote: Endpoint = { address: remoteAddress, port: remotePort };
  const own: Endpoint = { address: localAddress, port: localPort };
  const answer = socketOwner(remote, own);
  let uid = answer === false ? undefined : answer;
  return {
    uid,
    identify: () => {
      // Where the kernel takes no question about one socket, its table of all of them is what is left.
      if (answer === false) uid ??= findPeerOwner(remote, own);
      return uid;
    },
    certain: false,
    session: () => undefined,
    describe: () => `${remoteAddress} port ${remotePort} (uid ${uid ?? 'unknown'})`,
  };
}

/** The maker of the pipes, or the client of a super-server, where it need not be known. */
export function ownPeer(launcherUid: number): Peer {
  return knownPeer(launcherUid, () => 'descriptor 0');
}

/** The peer of a UNIX socket, by the kernel's word. */
export function unixPeer(descriptor: number): Peer {
  const credentials = peerCredentials(descriptor);
  const describe = () => `a UNIX socket (${credentials ? describePeer(credentials) : 'unknown'})`;
  return { ...knownPeer(credentials?.uid, describe), session: () => credentials && sessionOf(credentials.pid) };
}

/** One that cannot be seen is not taken for none: all sessions of a user would silently share one worker. */
function sessionOf(pid: number): string {
  const session = auditSession(pid);
  if (session !== undefined) return session;
  const why = `the login session of pid ${pid} is not to be seen in /proc`;
  throw new RendezvousError('session', `${why}; under systemd, scope = session needs ProtectProc=default`);
}

/** The maker of the two pipes that a launcher of root's has. Where the kernel cannot be asked, its parent stands for it. */
export function unixPeerOfPipes(): Peer {
  if (hasPeerCredentials()) return unixPeer(0);
  const uid = statSync(`/proc/${process.ppid}`, { throwIfNoEntry: false })?.uid;
  return knownPeer(uid, () => `the parent, pid ${process.ppid} (uid ${uid ?? 'unknown'})`);
}

function knownPeer(uid: number | undefined, describe: () => string): Peer {
  return { uid, identify: () => uid, certain: true, session: () => undefined, describe };
}

/** What each of them sets, all of it or it was another program; the first names the peer. */
const families = {
  unixserver: ['UNIXREMOTEEUID', 'UNIXREMOTEEGID', 'UNIXREMOTEPID', 'UNIXLOCALPATH', 'UNIXLOCALUID'],
  's6-ipcserver': ['IPCREMOTEEUID', 'IPCREMOTEEGID', 'IPCREMOTEPATH', 'IPCCONNNUM'],
} as const;
const protocols = { unixserver: 'UNIX', 's6-ipcserver': 'IPC' } as const;

/**
 * The peer of the UNIX socket on descriptor 0. Where ucspi's unixserver or s6-ipcserver has started us and names the peer,
 * the kernel has to name the same one: else the variables are not theirs.
 */
export function unixPeerAtStdin(env: NodeJS.ProcessEnv): Peer {
  const peer = unixPeer(0);
  for (const server of ['unixserver', 's6-ipcserver'] as const) {
    const family = families[server];
    if (env.PROTO !== protocols[server] || !family.every((name) => env[name] !== undefined)) continue;
    const said = env[family[0]];
    if (said !== String(peer.uid)) return knownPeer(undefined, () => `${peer.describe()}, uid ${said} by ${server}`);
  }
  return peer;
}

/** Whether an address is this host's own: 127.0.0.0/8, ::1, or the former as an IPv6 address. */
export function isLoopback(address: string | undefined): boolean {
  return address !== undefined && /^(::1|(::ffff:)?127\.\d{1,3}\.\d{1,3}\.\d{1,3})$/i.test(address);
}
