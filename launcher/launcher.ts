import { createServer, type Server, Socket } from 'node:net';
import { descriptorOf } from '../etc/host.ts';
import type { Log } from '../etc/log.ts';
import type { Settings } from '../etc/settings.ts';
import type { Crowd } from './crowd.ts';
import { enteredFrontDoor } from './front-door.ts';
import { stdoutIsApart } from './mode.ts';
import { type Peer, stdinPeer, tcpPeer, unixPeer } from './peer.ts';
import { rendezvous } from './rendezvous.ts';

/** What serves the connections, however they come. */
export interface LauncherOptions {
  settings: Pick<Settings, 'verifyUid' | 'launcherIdle'>;
  crowd: Crowd;
  launcherUid: number;
  log: Log;
  socketOf(uid: number): Promise<string>;
  /** A connection to one of the sockets of the uid's worker, made with the uid's rights. */
  connectTo(uid: number, name: string): Promise<Socket>;
  /** Whether the launcher has to stay although nobody is connected. */
  isNeeded(): Promise<boolean>;
}

/** Serves one connection: a peer of another host is dropped without a byte. */
async function serve(socket: Socket, options: LauncherOptions): Promise<void> {
  const { settings, launcherUid, log, socketOf } = options;
  const stdin = descriptorOf(socket) === 0;
  const unix = socket.remoteAddress === undefined;
  const peer = unix ? (stdin ? stdinPeer(launcherUid) : unixPeer(descriptorOf(socket))) : tcpPeer(socket);
  if (!peer) {
    log.refusal(`${socket.remoteAddress}: dropped: not an address of this host`);
    socket.destroy();
    return;
  }
  if (!stdin && !entered(socket, peer, options)) return;
  const verifyUid = settings.verifyUid && process.platform === 'linux';
  if (unix && !stdin && (await enteredFrontDoor(socket, peer, options))) return;
  await rendezvous({ input: socket, output: socket }, peer, { verifyUid, socketOf, log });
}

/** Nobody gets so many connections that there are none left for others. */
function entered(socket: Socket, { uid, description }: Peer, { crowd, log }: LauncherOptions): boolean {
  if (crowd.enter(uid)) {
    socket.once('close', () => crowd.leave(uid));
    return true;
  }
  if (crowd.isNews(uid)) log.refusal(`${description}: too many connections at once; further ones are dropped`);
  socket.destroy();
  return false;
}

/** Descriptor 0 is the connection (`nowait`), or 0 and 1 are its two directions. Resolves once it is served. */
export function serveConnectionOnStdin(options: LauncherOptions): Promise<void> {
  // Half-open: a peer that closes its sending side behind its line is answered all the same.
  const socket = new Socket({ fd: 0, readable: true, writable: !stdoutIsApart(), allowHalfOpen: true });
  if (!stdoutIsApart()) return serve(socket, options);
  const output = new Socket({ fd: 1, readable: false, writable: true });
  const { log, socketOf } = options;
  return rendezvous({ input: socket, output }, stdinPeer(options.launcherUid), { verifyUid: true, socketOf, log });
}

/**
 * Descriptor 0 listens (`wait`). Resolves to true after it has been idle for the time that the settings say, to false
 * at once where it turns out to be no listening socket.
 */
export function serveListenerOnStdin(options: LauncherOptions): Promise<boolean> {
  return new Promise((resolve) => {
    const server = listener(options);
    let open = 0;
    let idle = setTimeout(leave, options.settings.launcherIdle * 1000);
    async function leave(): Promise<void> {
      // inetd listens on: whoever connects from here on starts the next launcher. The socket must not be shut down.
      const isNeeded = await options.isNeeded();
      if (open > 0) return;
      if (!isNeeded) resolve(true);
      else idle = setTimeout(leave, options.settings.launcherIdle * 1000);
    }
    server.on('connection', (socket: Socket) => {
      open++;
      clearTimeout(idle);
      socket.once('close', () => {
        if (--open === 0) idle = setTimeout(leave, options.settings.launcherIdle * 1000);
      });
    });
    server.once('error', () => {
      clearTimeout(idle);
      resolve(false);
    });
    server.listen({ fd: 0 });
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
    server.listen({ ...address, ipv6Only: true }, () => resolve(server));
  });
}

function listener(options: LauncherOptions): Server {
  return createServer({ allowHalfOpen: true }, (socket) => {
    serve(socket, options).catch((error: Error) => options.log.error(`internal error: ${error.stack}`));
  });
}
