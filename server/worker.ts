import { createServer, type Server, type Socket } from 'node:net';
import type { Log } from '../etc/log.ts';
import type { Settings } from '../etc/settings.ts';
import { Admission } from './admission.ts';
import { CCAPISession } from './ccapi-session.ts';
import { hostClock } from './change-time.ts';
import { Collection } from './collection.ts';
import { serveConnection } from './connection.ts';
import { EitherSession } from './either-session.ts';
import { HandOver } from './hand-over.ts';
import { randomIdentifiers } from './identifiers.ts';
import { Iterators } from './iterators.ts';
import { KCMNames } from './kcm-names.ts';
import { KCMSession } from './kcm-session.ts';
import { Lifetime } from './lifetime.ts';
import { PublicSocket } from './public-socket.ts';

/** How long a worker that has given up its name waits for those who had found it before, in milliseconds. */
const FAREWELL = 100;

/** How long a worker that was told to end waits for peers to read their last replies, in milliseconds. */
const LAST_REPLIES = 5000;

/** A user's worker: one collection behind one socket. */
export class Worker {
  readonly #collection = new Collection(randomIdentifiers(), hostClock);
  readonly #iterators = new Iterators(this.#collection);
  readonly #names = new KCMNames(this.#collection, process.getuid?.() as number);
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #lifetime: Lifetime;
  readonly #admission: Admission;
  readonly #log: Log;
  #public: PublicSocket | undefined;
  #handOver: HandOver | undefined;
  #left = false;

  constructor({ idleTimeout, rootAccess }: Pick<Settings, 'idleTimeout' | 'rootAccess'>, log: Log) {
    this.#log = log;
    this.#admission = new Admission(rootAccess, log);
    this.#server = createServer({ allowHalfOpen: true }, (socket) => {
      if (this.#admission.admits(socket)) this.#serve(socket);
      else socket.destroy();
    });
    this.#lifetime = new Lifetime({
      idleTimeout: idleTimeout * 1000,
      holdsSomething: () => this.#holdsUnexpired(),
      leave: () => this.#leaveWhenIdle(),
    });
  }

  /** Begins to serve in a directory; false if another worker already does. */
  async start(directory: string): Promise<boolean> {
    this.#public = await PublicSocket.listen(this.#server, directory);
    this.#handOver = await HandOver.listen(directory, (socket) => this.#serve(socket), this.#log);
    if (!(await this.#public.claim())) return false;
    this.#handOver.publish();
    return true;
  }

  /** What the first connection needs and the first answer of the launcher need not wait for. */
  prepare(): void {
    this.#admission.prepare();
  }

  /** Stops taking requests, lets the replies out that are on their way, and ends the process. */
  stop(): void {
    this.#public?.remove();
    this.#handOver?.close();
    this.#server.close();
    this.#collection.shutDown();
    for (const socket of this.#sockets) socket.destroySoon();
    setTimeout(() => process.exit(0), LAST_REPLIES);
    this.#left = true;
    this.#exitWhenEmpty();
  }

  #serve(socket: Socket): void {
    this.#sockets.add(socket);
    this.#lifetime.connected();
    socket.on('close', () => {
      this.#sockets.delete(socket);
      this.#lifetime.disconnected();
      this.#exitWhenEmpty();
    });
    const session = new EitherSession({
      ccapi: () => new CCAPISession(this.#collection, this.#iterators, this.#log),
      kcm: () => new KCMSession({ collection: this.#collection, names: this.#names }, this.#log),
    });
    serveConnection(socket, session, this.#lifetime.requested);
  }

  /** The name goes first. Whoever had found it by then is served, and if somebody has, the worker takes it back. */
  #leaveWhenIdle(): void {
    this.#public?.withdraw();
    setTimeout(async () => {
      if (this.#lifetime.connections === 0 && !this.#holdsUnexpired()) this.stop();
      else if (await this.#public?.claim()) this.#lifetime.watch();
      else this.#serveOut();
    }, FAREWELL);
  }

  /** Another worker has the name by now: whoever is here is served, and nothing is left behind. */
  #serveOut(): void {
    this.#public?.remove();
    this.#handOver?.close();
    this.#left = true;
    this.#exitWhenEmpty();
  }

  #exitWhenEmpty(): void {
    if (this.#left && this.#sockets.size === 0) process.exit(0);
  }

  #holdsUnexpired(): boolean {
    const now = hostClock();
    for (const ccache of this.#collection) {
      for (const { value } of ccache.contents.credentials) if (value.endtime > now) return true;
    }
    return false;
  }
}
