import { createServer, type Server, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Settings } from '../etc/config/settings.ts';
import { version } from '../etc/config/version.ts';
import { disableTracing } from '../etc/host/identity.ts';
import type { Log } from '../etc/host/log.ts';
import { Connection } from './connection.ts';
import { Lifetime } from './idle.ts';
import { InputBudget } from './input-budget.ts';
import { Admission } from './peer-check.ts';
import { Service, type ServiceSettings } from './service.ts';
import { Place } from './worker-directory.ts';

/** How long a worker that has given up its name waits for those who had found it before, in milliseconds. */
const FAREWELL = 100;

/** How long a worker that was told to end waits for peers to read their last replies, in milliseconds. */
const LAST_REPLIES = 5000;

/** How long after its start a worker has been asked for the first time, in milliseconds. */
const FIRST_ASKED = 100;

/** How many of the longest frames all connections together may have half sent, or sent and not answered. */
const FRAMES_HELD = 4;

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
  readonly #connections = new Map<Socket, Connection>();
  readonly #lifetime: Lifetime;
  readonly #budget: InputBudget;
  #place: Place | undefined;
  #vanishes = false;
  #leaving = false;
  #isFull = false;
  #service: Service | undefined;

  constructor(settings: WorkerSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#admission = new Admission(settings.rootAccess, log);
    this.#budget = new InputBudget(FRAMES_HELD * settings.maxFrame, log);
    this.#lifetime = new Lifetime(settings.idleTimeout * 1000, {
      holdsSomething: () => this.#service?.holdsSomething() ?? false,
      leave: () => this.#leaveWhenIdle(),
    });
  }

  /** Begins to serve in a directory; false if another worker does. */
  async start(directory: string, { passed = [], vanishes = false }: StartOptions = {}): Promise<boolean> {
    this.#vanishes = vanishes;
    const place = await Place.open(directory, {
      newServer: () => this.#newServer(),
      take: (socket) => this.#serve(socket),
      isPassed: passed.length > 0,
      log: this.#log,
    });
    this.#place = place;
    try {
      if (!(await place.acquire())) return false;
      this.#service = new Service(directory, this.#settings, this.#lifetime, this.#log, place.path);
    } catch (error) {
      this.abandon();
      throw new Error((error as Error).message.replaceAll(place.path, directory), { cause: error });
    }
    this.#place?.publish();
    await Promise.all(passed.map((descriptor) => this.#listenAt(descriptor)));
    return true;
  }

  /** Goes by other settings from here on; how ccaches are kept stays as it is. */
  reconfigure(settings: WorkerSettings): void {
    this.#settings = settings;
    this.#admission.rootAccess = settings.rootAccess;
    this.#budget.most = FRAMES_HELD * settings.maxFrame;
    this.#lifetime.idleTimeout = settings.idleTimeout * 1000;
    this.#service?.goBy(settings);
  }

  /** What the first connection needs and the first answer of the launcher need not wait for. */
  prepare(): void {
    this.#admission.prepare();
    disableTracing();
    this.#place?.guard({ restored: () => this.#service?.restore(), lost: (isLocked) => this.#lose(isLocked) });
    const holds = `${this.#service?.size} ccaches`;
    const begins = `version ${version} begins for uid ${process.getuid?.()} in ${this.#place?.directory}; ${holds}`;
    // The first who asks is on the way, and does not wait for the log.
    setTimeout(() => this.#log.info(begins), FIRST_ASKED);
  }

  /** Leaves nothing of a worker that is not needed. */
  abandon(): void {
    this.#place?.leave();
  }

  /** Answers what has come, lets the replies out, and ends the process. `why` is for the log. */
  stop(why: string): void {
    if (this.#leaving) return;
    this.#leaving = true;
    this.#log.info(`leaves uid ${process.getuid?.()}: ${why}`);
    this.#place?.unguard();
    this.#place?.withdraw();
    this.#place?.closeLinks();
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
    const connection = new Connection(socket, this.#service.openSession(), this.#settings, this.#budget);
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

  /** The names go first. Whoever had found them by then is served, and if somebody has, the worker takes them back. */
  #leaveWhenIdle(): void {
    this.#place?.withdraw();
    setTimeout(() => {
      if (this.#leaving) return;
      if (this.#lifetime.connections === 0 && !this.#service?.holdsSomething())
        this.stop(`nobody has asked for ${this.#settings.idleTimeout} s`);
      else {
        this.#place?.publish();
        this.#lifetime.watch();
      }
    }, FAREWELL);
  }

  /** Where another worker may write what is kept here, this one must not any more. */
  #lose(isLocked: boolean): void {
    if (!isLocked) this.#service?.forsake();
    this.stop('its directory is gone or has another worker');
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
    this.#place?.leave(ends);
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
