import { createServer, type Server, Socket } from 'node:net';
import { LISTEN_BACKLOG } from '../etc/base-directory.ts';
import { descriptorOf } from '../etc/host.ts';
import type { Log } from '../etc/log.ts';
import type { Settings } from '../etc/settings.ts';
import type { Whose } from '../proto/rendezvous.ts';
import type { Crowd } from './crowd.ts';
import { enteredFrontDoor } from './front-door.ts';
import { stdoutIsApart } from './mode.ts';
import { ownPeer, type Peer, tcpPeer, unixPeer, unixPeerAtStdin, unixPeerOfPipes } from './peer.ts';
import { rendezvous } from './rendezvous.ts';

/** What serves the connections, however they come. */
export interface LauncherOptions {
  settings: Pick<Settings, 'verifyUid' | 'launcherIdle'>;
  crowd: Crowd;
  launcherUid: number;
  log: Log;
  socketOf(whose: Whose): Promise<string>;
  /** A connection to one of the sockets of a worker, made with the rights of its uid. */
  connectTo(whose: Whose, name: string): Promise<Socket>;
  /** Whether the launcher has to stay although nobody is connected. */
  isNeeded(): Promise<boolean>;
}

/** Serves one connection: a peer of another host is dropped without a byte. */
async function serve(socket: Socket, peer: Peer | undefined, options: LauncherOptions): Promise<void> {
  const { settings, log, socketOf } = options;
  if (!peer) {
    log.refusal(`${socket.remoteAddress}: dropped: not an address of this host`);
    socket.destroy();
    return;
  }
  const verifyUid = settings.verifyUid && process.platform === 'linux';
  if (isUnix(socket) && (await enteredFrontDoor(socket, peer, options))) return;
  await rendezvous({ input: socket, output: socket }, peer, { verifyUid, socketOf, log });
}

function isUnix(socket: Socket): boolean {
  return socket.remoteAddress === undefined;
}

/** Nobody gets so many connections that there are none left for others. */
function entered(socket: Socket, { uid, description }: Peer, { crowd, log }: LauncherOptions): boolean {
  if (crowd.enter(uid)) {
    socket.once('close', () => crowd.leave(uid));
    return true;
  }
  if (crowd.isNews(uid)) log.refusal(`${description()}: too many connections at once; further ones are dropped`);
  socket.destroy();
  return false;
}

/**
 * A descriptor is the connection (`nowait`), or 0 and 1 are its two directions. Resolves once it is served. Without root
 * the launcher serves nobody but the uid it runs as, whoever asks, so that pipes need no proof.
 */
export function serveConnection(descriptor: number, options: LauncherOptions): Promise<void> {
  const { launcherUid, log, socketOf } = options;
  const apart = descriptor === 0 && stdoutIsApart();
  // Half-open: a peer that closes its sending side behind its line is answered all the same.
  const socket = new Socket({ fd: descriptor, readable: true, writable: !apart, allowHalfOpen: true });
  if (apart) {
    const output = new Socket({ fd: 1, readable: false, writable: true });
    const peer = launcherUid === 0 ? unixPeerOfPipes() : ownPeer(launcherUid);
    return rendezvous({ input: socket, output }, peer, { verifyUid: true, socketOf, log });
  }
  const unix = () => (descriptor === 0 ? unixPeerAtStdin(process.env) : unixPeer(descriptor));
  return serve(socket, isUnix(socket) ? unix() : tcpPeer(socket), options);
}

/**
 * Descriptors that listen (`wait`). Resolves to true after they have been idle for the time that the settings say, to
 * false at once where one turns out to be no listening socket.
 */
export function serveListeners(descriptors: readonly number[], options: LauncherOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const wait = () => setTimeout(leave, options.settings.launcherIdle * 1000);
    let open = 0;
    let idle = wait();
    async function leave(): Promise<void> {
      // inetd listens on: whoever connects from here on starts the next launcher. The socket must not be shut down.
      const isNeeded = await options.isNeeded();
      if (open > 0) return;
      if (!isNeeded) resolve(true);
      else idle = wait();
    }
    for (const fd of descriptors) {
      const server = listener(options);
      server.on('connection', (socket: Socket) => {
        open++;
        clearTimeout(idle);
        socket.once('close', () => {
          if (--open === 0) idle = wait();
        });
      });
      server.once('error', () => {
        clearTimeout(idle);
        resolve(false);
      });
      server.listen({ fd });
    }
  });
}

/** Listens on an address of this host until the process ends. Rejects where it cannot, with the system's error. */
export function serveAddress(
  address: { host: string; port: number } | { path: string },
  options: LauncherOptions,
): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = listener(options);
    server.once('error', reject);
    server.listen({ ...address, ipv6Only: true, backlog: LISTEN_BACKLOG }, () => resolve(server));
  });
}

function listener(options: LauncherOptions): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    const peer = isUnix(socket) ? unixPeer(descriptorOf(socket)) : tcpPeer(socket);
    if (peer && !entered(socket, peer, options)) return;
    serve(socket, peer, options).catch((error: Error) => options.log.error(`internal error: ${error.stack}`));
  });
}
