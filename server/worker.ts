import { createServer, type Server, type Socket } from 'node:net';
import { setTimeout as delay, setImmediate as nextTurn } from 'node:timers/promises';
import { keptDirectoryIn, SOCKET_NAME } from '../etc/base-directory.ts';
import { keepOthersOut } from '../etc/host.ts';
import { isListening } from '../etc/is-listening.ts';
import type { Log } from '../etc/log.ts';
import type { Settings } from '../etc/settings.ts';
import { version } from '../etc/version.ts';
import type { WorkerStatus } from '../proto/status.ts';
import { Admission } from './admission.ts';
import type { CCache } from './ccache.ts';
import { CCAPISession } from './ccapi-session.ts';
import { hostClock } from './change-time.ts';
import { Collection } from './collection.ts';
import { Connection } from './connection.ts';
import { EitherSession } from './either-session.ts';
import { HandOver } from './hand-over.ts';
import { Housekeeping, type HouseSettings } from './housekeeping.ts';
import { Identifiers } from './identifiers.ts';
import { Iterators } from './iterators.ts';
import { KCMNames } from './kcm-names.ts';
import { KCMSession } from './kcm-session.ts';
import { Lifetime } from './lifetime.ts';
import { Ownership } from './ownership.ts';
import { keepsIn } from './persistence.ts';
import { PublicSocket } from './public-socket.ts';
import { Renewal } from './renewal.ts';
import { StatusSession } from './status-session.ts';
import { Store } from './store.ts';
import { Tidying } from './tidying.ts';
import { dropUnfinished } from './unfinished.ts';

/** How long a worker that has given up its name waits for those who had found it before, in milliseconds. */
const FAREWELL = 100;

/** How long a worker that was told to end waits for peers to read their last replies, in milliseconds. */
const LAST_REPLIES = 5000;

/** How long after its start a worker has been asked for the first time, in milliseconds. */
const FIRST_ASKED = 100;

/** How soon it is looked again whether another worker serves the directory by now, in milliseconds. */
const LOOK_AGAIN = 10;

/** What a worker reads of the settings. */
export type WorkerSettings = HouseSettings &
  Pick<Settings, 'idleTimeout' | 'rootAccess' | 'persist' | 'renew' | 'maxConnections' | 'maxFrame' | 'maxOutput'>;

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

/** A user's worker: one collection behind one socket. */
export class Worker {
  #settings: WorkerSettings;
  readonly #log: Log;
  readonly #admission: Admission;
  readonly #server: Server;
  readonly #connections = new Map<Socket, Connection>();
  readonly #requests = new Map<string, { count: number }>();
  readonly #lifetime: Lifetime;
  readonly #tidying = new Tidying();
  #place: { socket: PublicSocket; handOver: HandOver; ownership: Ownership } | undefined;
  #store: Store | undefined;
  #openSession: (() => EitherSession) | undefined;
  #collection: Collection | undefined;
  #directory = '';
  #isPassed = false;
  #vanishes = false;
  #leaving = false;
  #isFull = false;
  #house: Housekeeping | undefined;
  #renewal: Renewal | undefined;

  constructor(settings: WorkerSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#admission = new Admission(settings.rootAccess, log);
    this.#server = this.#newServer();
    this.#lifetime = new Lifetime(settings.idleTimeout * 1000, {
      holdsSomething: () => this.#holdsSomething(),
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
      this.#open(directory);
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
    this.#settings = { ...settings, persist: this.#settings.persist };
    this.#admission.rootAccess = settings.rootAccess;
    this.#lifetime.idleTimeout = settings.idleTimeout * 1000;
    this.#house?.goBy(settings);
    this.#renewAsSet();
  }

  #renewAsSet(): void {
    if (this.#settings.renew) this.#renewal?.start();
    else this.#renewal?.stop();
  }

  /** What the first connection needs and the first answer of the launcher need not wait for. */
  prepare(): void {
    this.#admission.prepare();
    keepOthersOut();
    this.#renewAsSet();
    const { size = 0 } = this.#collection ?? {};
    const begins = `version ${version} begins for uid ${process.getuid?.()} in ${this.#directory}; ${size} ccaches`;
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
    this.#renewal?.stop();
    this.#collection?.shutDown();
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

  #open(directory: string): void {
    const keeps = keepsIn(directory, this.#settings.persist);
    const store = keeps
      ? new Store(keptDirectoryIn(directory), this.#settings.persist === 'always', this.#log)
      : undefined;
    const loaded = store?.load(hostClock);
    const collection = new Collection(loaded?.identifiers ?? new Identifiers(), hostClock);
    if (store && loaded) store.attach(collection, loaded.kept);
    dropUnfinished(collection);
    const iterators = new Iterators(collection);
    const names = new KCMNames(collection, process.getuid?.() as number);
    [this.#store, this.#collection] = [store, collection];
    const requested = (name: string) => {
      const now = performance.now();
      this.#lifetime.requested(now);
      this.#tidying.requested(now);
      const asked = this.#requests.get(name);
      if (asked) asked.count++;
      else this.#requests.set(name, { count: 1 });
    };
    this.#house = new Housekeeping(collection, this.#log);
    this.#house.goBy(this.#settings);
    this.#renewal = new Renewal(collection, renewer(`${directory}/${SOCKET_NAME}`), hostClock, this.#log);
    this.#openSession = () =>
      new EitherSession({
        ccapi: () => new CCAPISession(collection, iterators, this.#log, requested),
        kcm: () => new KCMSession({ collection, names }, this.#log, requested),
        status: () => new StatusSession(() => this.#status(collection, keeps ? keptDirectoryIn(directory) : undefined)),
      });
  }

  #serve(socket: Socket): void {
    // Until the directory is ours it is other workers who look whether we are there.
    if (!this.#openSession || !this.#hasRoom()) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, this.#openSession(), this.#settings);
    this.#connections.set(socket, connection);
    this.#lifetime.connected();
    if (this.#leaving) finishSoon(connection);
    socket.on('close', () => {
      this.#connections.delete(socket);
      this.#lifetime.disconnected();
      this.#exitWhenEmpty();
    });
  }

  /** The one who asks is not counted: that they are there keeps nobody. */
  #status({ limits, size }: Collection, keptIn: string | undefined): WorkerStatus {
    const leavesIn = this.#lifetime.leavesIn(1);
    const renewsAt = this.#renewal?.next;
    return {
      version,
      pid: process.pid,
      started: Math.round(performance.timeOrigin / 1000),
      memory: process.memoryUsage.rss(),
      ccaches: size,
      credentials: limits.held.credentials,
      connections: this.#lifetime.connections - 1,
      requests: Object.fromEntries([...this.#requests].map(([name, { count }]) => [name, count])),
      ...(keptIn !== undefined && { keptIn }),
      ...(leavesIn !== undefined && { leavesIn: Math.round(leavesIn / 1000) }),
      ...(renewsAt !== undefined && { renewsIn: Math.max(0, renewsAt - hostClock()) }),
    };
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
      if (this.#lifetime.connections === 0 && !this.#holdsSomething())
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
    this.#store?.close();
    const ends = this.#vanishes && this.#collection?.size === 0;
    if (ends) this.#store?.remove();
    else this.#place?.ownership.free();
    this.abandon();
    if (ends) this.#place?.ownership.end();
    process.exit(0);
  }

  /** Whether something would be lost with the process, or not be done. */
  #holdsSomething(): boolean {
    if (this.#renewal?.next !== undefined) return true;
    if (this.#store || !this.#collection) return false;
    const now = hostClock();
    for (const ccache of this.#collection) {
      for (const { value } of ccache.contents.credentials) if (value.endtime > now) return true;
    }
    return false;
  }
}

/** kinit is loaded with what it needs when there is something to renew. */
function renewer(socket: string): (ccache: CCache, signal: AbortSignal) => Promise<void> {
  return async ({ name }, signal) => {
    const { renewByKinit } = await import('./kinit.ts');
    await renewByKinit(socket, name, signal);
  };
}

/** Ends a connection when what the kernel has of it by now is answered; that comes with the next turns. */
async function finishSoon(connection: Connection): Promise<void> {
  await turns();
  connection.finish();
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await nextTurn();
}
