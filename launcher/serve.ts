import { createServer, type Server, Socket } from 'node:net';
import { descriptorOf } from '../etc/host/socket-handle.ts';
import type { QuotaKey } from './connection-quota.ts';
import type { LauncherContext } from './context.ts';
import { enterFrontDoor } from './front-door.ts';
import { stdoutIsApart } from './invocation.ts';
import { ownPeer, type Peer, tcpPeer, unixPeer, unixPeerAtStdin, unixPeerOfPipes } from './peer.ts';
import { refusalKey } from './refusals.ts';
import { rendezvous } from './rendezvous.ts';

/**
 * How many connections of all users together may wait to be accepted. On a UNIX socket a blocking connect(2) waits beyond
 * it, so that a short queue keeps one user's flood from standing before another's request; over TCP a client comes
 * again only a second after its request was dropped.
 */
const BACKLOG = { unix: 64, tcp: 4096 };

/** What `pauseOnConnect` of a server comes to for a socket that is made of a descriptor; Node has no type for it. */
const paused: object = { pauseOnCreate: true };

/** Serves one connection. */
async function serve(socket: Socket, peer: Peer, context: LauncherContext): Promise<void> {
  const { settings, isPerSession, quota, isKnown, log, socketOf, report, refusals } = context;
  const verifyUid = settings.verifyUid && process.platform === 'linux';
  if (isUnix(socket) && (await enterFrontDoor(socket, peer, context))) return;
  const progress = { onLine: () => quota.noteInput(socket), onAnswer: () => quota.noteAnswer(socket) };
  const options = { verifyUid, isPerSession, socketOf, report, isKnown, refusals, log, ...progress };
  await rendezvous({ input: socket, output: socket }, peer, options);
}

function isUnix(socket: Socket): boolean {
  return socket.remoteAddress === undefined;
}

/** The peer of a connection; one of another host is dropped without a byte. */
function admit(socket: Socket, peer: Peer | undefined, { refusals }: LauncherContext): Peer | undefined {
  if (peer) return peer;
  refusals.add('other hosts', () => `${socket.remoteAddress}: dropped: not an address of this host`);
  socket.destroy();
  return undefined;
}

function quotaKey({ uid }: Peer, isKnown: (uid: number) => boolean): QuotaKey {
  return uid === undefined ? 'unidentified' : isKnown(uid) ? uid : 'unknown uid';
}

/** Counts a connection; where there is no room for it, it is closed. */
function count(socket: Socket, peer: Peer, { quota, refusals, isKnown }: LauncherContext): boolean {
  if (quota.acquire(socket, quotaKey(peer, isKnown))) {
    socket.once('close', () => quota.release(socket));
    return true;
  }
  refusals.add(refusalKey(peer, isKnown), () => `${peer.describe()}: too many connections at once; dropped`);
  socket.destroy();
  return false;
}

/**
 * A descriptor is the connection (`nowait`), or 0 and 1 are its two directions. Resolves once it is served. Without root
 * the launcher serves only the uid it runs as, so that pipes need no proof.
 */
export async function serveConnection(descriptor: number, context: LauncherContext): Promise<void> {
  const { launcherUid, isPerSession, isKnown, log, socketOf, report, refusals } = context;
  const apart = descriptor === 0 && stdoutIsApart();
  // Half-open: a peer that closes its sending side behind its line is answered all the same.
  const socket = new Socket({ fd: descriptor, readable: true, writable: !apart, allowHalfOpen: true, ...paused });
  if (apart) {
    const output = new Socket({ fd: 1, readable: false, writable: true });
    const peer = launcherUid === 0 ? unixPeerOfPipes() : ownPeer(launcherUid);
    return rendezvous({ input: socket, output }, peer, {
      verifyUid: true,
      isPerSession,
      socketOf,
      report,
      isKnown,
      refusals,
      log,
    });
  }
  const unix = () => (descriptor === 0 ? unixPeerAtStdin(process.env) : unixPeer(descriptor));
  const peer = admit(socket, isUnix(socket) ? unix() : tcpPeer(socket), context);
  if (peer) await serve(socket, peer, context);
}

/**
 * Descriptors that listen (`wait`). Resolves to true after they have been idle for the time that the settings say, to
 * false at once where one turns out to be no listening socket.
 */
export function serveListeners(descriptors: readonly number[], context: LauncherContext): Promise<boolean> {
  return new Promise((resolve) => {
    const wait = () => setTimeout(leave, context.settings.launcherIdle * 1000);
    let open = 0;
    let idle = wait();
    function leave(): void {
      // inetd listens on: a connection from here on starts the next launcher. The socket must not be shut down.
      if (context.isNeeded()) idle = wait();
      else resolve(true);
    }
    for (const fd of descriptors) {
      const server = listener(context);
      server.on('connection', (socket: Socket) => {
        open++;
        clearTimeout(idle);
        socket.once('close', () => {
          if (--open === 0) idle = wait();
        });
      });
      const noListener = () => {
        clearTimeout(idle);
        resolve(false);
      };
      server.once('error', noListener);
      server.listen({ fd }, () =>
        server.off('error', noListener).on('error', (error) => logAcceptError(error, context)),
      );
    }
  });
}

/** Listens on an address of this host until the process ends. Rejects where it cannot, with the system's error. */
export function serveAddress(
  address: { host: string; port: number } | { path: string },
  context: LauncherContext,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = listener(context);
    server.once('error', reject);
    const backlog = 'path' in address ? BACKLOG.unix : BACKLOG.tcp;
    server.listen({ ...address, ipv6Only: true, backlog }, () => {
      server.off('error', reject).on('error', (error) => logAcceptError(error, context));
      resolve(server);
    });
  });
}

/** A connection that could not be accepted, as with no descriptor left, ends no launcher. */
function logAcceptError(error: Error, { refusals }: LauncherContext): void {
  refusals.add('accept', () => `cannot accept a connection: ${error.message}`);
}

function listener(context: LauncherContext): Server {
  return createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
    context.refresh();
    const peer = admit(socket, isUnix(socket) ? unixPeer(descriptorOf(socket)) : tcpPeer(socket), context);
    if (!peer || !count(socket, peer, context)) return;
    serve(socket, peer, context).catch((error: Error) => context.log.error(`internal error: ${error.stack}`));
  });
}
