import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { SOCKET_NAME } from '../etc/base-directory.ts';
import { disableTracing } from '../etc/identity.ts';
import { isListening } from '../etc/is-listening.ts';
import type { Log } from '../etc/log.ts';
import type { Settings } from '../etc/settings.ts';
import { version } from '../etc/version.ts';
import { Admission } from './admission.ts';
import { Connection } from './connection.ts';
import { HandOver } from './hand-over.ts';
import { Lifetime } from './lifetime.ts';
import { Ownership } from './ownership.ts';
import { PublicSocket } from './public-socket.ts';
import { Service, type ServiceSettings } from './service.ts';

/** How long a worker that has given up its name waits for those who had found it before, in milliseconds. */
const FAREWELL = 100;

/** How long a worker that was told to end waits for peers to read their last replies, in milliseconds. */
const LAST_REPLIES = 5000;

/** How long after its start a worker has been asked for the first time, in milliseconds. */
const FIRST_ASKED = 100;

/** How soon it is looked again whether another worker serves the directory by now, in milliseconds. */
const LOOK_AGAIN = 10;

/** What a worker reads of the settings. */
export type WorkerSettings = ServiceSettings &
  Pick<Settings, 'idleTimeout' | 'rootAccess' | 'maxConnections' | 'maxFrame' | 'maxOutput'>;

/** How a worker comes to its directory, and leaves it. */
export interface StartOptions {
  /**
   * The descriptors that systemd has passed. The name in the directory is systemd's then: whoever comes to it while another
   * worker is about to leave waits there.
   */
  passed?: readonly number[];
  /** Whether the directory goes when nothing is left in it that anybody could want, as a login session's does. */
  vanishes?: boolean;
}

/** A user's worker: what is served, behind one socket, for as long as anybody wants it. */
export class Worker {
  #settings: WorkerSettings;
  readonly #log: Log;
  readonly #admission: Admission;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  readonly #lifetime: Lifetime;
  #place: { socket: PublicSocket; handOver: HandOver; ownership: Ownership } | undefined;
  #directory = '';
  #isPassed = false;
  #vanishes = false;
  #leaving = false;
  #isFull = false;
  #service: Service | undefined;

  constructor(settings: WorkerSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#admission = new Admission(settings.rootAccess, log);
    this.#server = this.#newServer();
    this.#lifetime = new Lifetime(settings.idleTimeout * 1000, {
      holdsSomething: () => this.#service?.holdsSomething() ?? false,
      leave: () => this.#leaveWhenIdle(),
    });
  }

  /** Begins to serve in a directory; false if another worker does. */
  async start(directory: string, { passed = [], vanishes = false }: StartOptions = {}): Promise<boolean> {
    const id = `${process.pid.toString(36)}.${(process.hrtime.bigint() % 36n ** 4n).toString(36)}`;
    const socket = await PublicSocket.listen(this.#server, directory, SOCKET_NAME, id);
    const handOver = await HandOver.listen(directory, id, (taken) => this.#serve(taken), this.#log);
    const ownership = new Ownership(directory, id);
    this.#place = { socket, handOver, ownership };
    this.#directory = directory;
    this.#isPassed = passed.length > 0;
    this.#vanishes = vanishes;
    // Whoever serves here, or is about to leave, is waited for: until it can be found, or until it is gone.
    while (!(await ownership.take())) {
      if (!this.#isPassed && (await isListening(socket.path))) return false;
      await delay(LOOK_AGAIN);
    }
    try {
      this.#service = new Service(directory, this.#settings, this.#lifetime, this.#log);
    } catch (error) {
      ownership.free();
      this.abandon();
      throw error;
    }
    this.#publish();
    await Promise.all(passed.map((descriptor) => this.#listenAt(descriptor)));
    return true;
  }

  /** Goes by other settings from here on; how ccaches are kept stays as it is. */
  reconfigure(settings: WorkerSettings): void {
    this.#settings = settings;
    this.#admission.rootAccess = settings.rootAccess;
    this.#lifetime.idleTimeout = settings.idleTimeout * 1000;
    this.#service?.goBy(settings);
  }

  /** What the first connection needs and the first answer of the launcher need not wait for. */
  prepare(): void {
    this.#admission.prepare();
    disableTracing();
    const holds = `${this.#service?.size} ccaches`;
    const begins = `version ${version} begins for uid ${process.getuid?.()} in ${this.#directory}; ${holds}`;
    // The first who asks is on the way, and does not wait for the log.
    setTimeout(() => this.#log.info(begins), FIRST_ASKED);
  }

  /** Leaves nothing of a worker that is not needed. */
  abandon(): void {
    this.#place?.socket.remove();
    this.#place?.handOver.close();
  }

  /** Answers what has come, lets the replies out, and ends the process. `why` is for the log. */
  stop(why: string): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#log.info(`leaves uid ${process.getuid?.()}: ${why}`);
    this.#withdraw();
    this.#service?.shutDown();
    for (const connection of this.#connections.values()) finishSoon(connection);
    setTimeout(() => this.#exit(), LAST_REPLIES);
    this.#exitWhenEmpty();
  }

  #newServer(): Server {
    return createServer({ allowHalfOpen: true }, (socket) => {
      if (this.#admission.admits(socket)) this.#serve(socket);
      else socket.destroy();
    });
  }

  #listenAt(descriptor: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const server = this.#newServer();
      server.once('error', reject);
      server.listen({ fd: descriptor }, resolve);
    });
  }

  #serve(socket: Socket): void {
    // Until the directory is ours it is other workers who look whether we are there.
    if (!this.#service || !this.#hasRoom()) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#service.openSession(), this.#settings);
    this.#connections.set(socket, connection);
    this.#lifetime.connected();
    if (this.#leaving) finishSoon(connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      this.#lifetime.disconnected();
      this.#exitWhenEmpty();
    });
  }

  #hasRoom(): boolean {
    const { maxConnections } = this.#settings;
    const full = this.#connections.size >= maxConnections;
    if (full && !this.#isFull)
      this.#log.warning(`max_connections = ${maxConnections} is reached; further ones are closed`);
    this.#isFull = full;
    return !full;
  }

  #publish(): void {
    this.#place?.handOver.socket.publish();
    if (!this.#isPassed) this.#place?.socket.publish();
  }

  #withdraw(): void {
    this.#place?.socket.withdraw();
    this.#place?.handOver.socket.withdraw();
  }

  /** The names go first. Whoever had found them by then is served, and if somebody has, the worker takes them back. */
  #leaveWhenIdle(): void {
    this.#withdraw();
    setTimeout(() => {
      if (this.#leaving) return;
      if (this.#lifetime.connections === 0 && !this.#service?.holdsSomething())
        this.stop(`nobody has asked for ${this.#settings.idleTimeout} s`);
      else {
        this.#publish();
        this.#lifetime.watch();
      }
    }, FAREWELL);
  }

  async #exitWhenEmpty(): Promise<void> {
    if (!this.#leaving || this.#connections.size > 0) return;
    // Somebody may have been on the way when the names went.
    await turns();
    if (this.#connections.size === 0) this.#exit();
  }

  /** The directory is another's from here on, so nothing may happen behind it. */
  #exit(): never {
    const ends = this.#vanishes && this.#service?.size === 0;
    this.#service?.close(ends);
    if (!ends) this.#place?.ownership.free();
    this.abandon();
    if (ends) this.#place?.ownership.end();
    process.exit(0);
  }
}

/** Ends a connection when what the kernel has of it by now is answered; that comes with the next turns. */
async function finishSoon(connection: Connection): Promise<void> {
  await turns();
  connection.finish();
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}
