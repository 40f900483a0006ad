import { createServer, type Server } from 'node:net';
import type { Settings } from '../etc/config/settings-table.ts';
import { Company } from '../etc/host/company.ts';
import { disableTracing } from '../etc/host/identity.ts';
import type { Log } from '../etc/host/log.ts';
import { version } from '../proto/status.ts';
import { AccountMark } from './account-mark.ts';
import { type ConnectionSettings, Connections, nextTurns } from './connections.ts';
import { IdleExit, type IdleTimeouts } from './idle.ts';
import { InputSocket } from './input-socket.ts';
import { PeerCheck } from './peer-check.ts';
import { Service, type ServiceSettings } from './service.ts';
import { WorkerDirectory } from './worker-directory.ts';

/** Milliseconds for which a worker without its names still serves clients that had found them before. */
const FAREWELL = 100;

/** How long a worker that was told to end waits for peers to read their last replies, in milliseconds. */
const LAST_REPLIES = 5000;

/** How long after its start a worker has been asked for the first time, in milliseconds. */
const FIRST_ASKED = 100;

/** What a worker reads of the settings. */
type WorkerSettings = ServiceSettings &
  ConnectionSettings &
  Pick<Settings, 'idleTimeout' | 'aloneTimeout' | 'rootAccess'>;

/**
 * `withdrawn`: its names are gone and it still serves, to be published again or to stop. `stopping`: it answers what has
 * arrived, and exits.
 */
type Phase = 'starting' | 'serving' | 'withdrawn' | 'stopping';

/** How a worker comes to its directory, and leaves it. */
interface StartOptions {
  /**
   * The descriptors that systemd has passed. The name in the directory is systemd's then: a client that connects to it while another
   * worker is about to leave waits there.
   */
  passed?: readonly number[];
  /** Whether an empty directory is removed at exit, as a login session's is. */
  vanishes?: boolean;
  /** The login session that the directory is for; undefined for one that is for more than that. */
  session?: string | undefined;
  /** The user's name, as the launcher knows it. */
  userName?: string | undefined;
}

/** A user's worker: one service behind one socket, until it is idle or told to stop. */
export class Worker {
  #settings: WorkerSettings;
  readonly #log: Log;
  readonly #peerCheck: PeerCheck;
  readonly #connections: Connections;
  readonly #idle: IdleExit;
  #directory: WorkerDirectory | undefined;
  #removesDirectory = false;
  #company = new Company(process.getuid?.() as number);
  #isLogin = false;
  #phase: Phase = 'starting';
  #service: Service | undefined;
  #account: AccountMark | undefined;

  constructor(settings: WorkerSettings, log: Log) {
    this.#settings = settings;
    this.#log = log;
    this.#peerCheck = new PeerCheck(settings.rootAccess, log);
    this.#connections = new Connections(settings, log);
    this.#idle = new IdleExit(timeoutsOf(settings), {
      mustStayAlive: () => this.#mustStayAlive,
      shouldStay: () => this.#service?.isHoldingLogin ?? false,
      isAlone: () => this.#company.isAlone(),
      hasEnded: () => this.#isLogin && this.#company.hasEnded,
      leave: (why) => this.#exitIfStillIdle(why),
    });
  }

  /** Starts to serve in a directory; false if another worker does. */
  async start(
    directory: string,
    { passed = [], vanishes = false, session, userName }: StartOptions = {},
  ): Promise<boolean> {
    this.#removesDirectory = vanishes;
    this.#isLogin = session !== undefined;
    this.#company = new Company(process.getuid?.() as number, session);
    const own = await WorkerDirectory.open(directory, {
      newServer: () => this.#newServer(),
      take: (socket, read) => this.#serve(socket, read),
      isPassed: passed.length > 0,
      log: this.#log,
    });
    this.#directory = own;
    try {
      if (!(await own.acquire())) return false;
      this.#account = new AccountMark(own.path, process.getuid?.() as number, userName, this.#log);
      this.#account.settle();
      this.#service = new Service(directory, this.#settings, this.#idle, this.#log, own.path);
    } catch (error) {
      this.discard();
      throw new Error((error as Error).message.replaceAll(own.path, directory), { cause: error });
    }
    this.#directory?.publish();
    this.#phase = 'serving';
    await Promise.all(passed.map((descriptor) => this.#listenAt(descriptor)));
    return true;
  }

  /** Applies other settings; storage stays as it is. */
  configure(settings: WorkerSettings): void {
    this.#settings = settings;
    this.#peerCheck.rootAccess = settings.rootAccess;
    this.#connections.configure(settings);
    this.#idle.timeouts = timeoutsOf(settings);
    this.#service?.configure(settings);
  }

  /** Does what the launcher's first answer need not wait for. */
  prepare(): void {
    this.#peerCheck.prepare();
    disableTracing();
    this.#account?.restore();
    // The process that asks is of the session; it may be gone at the next look.
    if (this.#isLogin) this.#company.isAlone();
    // The first request is on its way, and does not wait for the rest.
    setTimeout(() => this.#settle(), FIRST_ASKED);
  }

  #settle(): void {
    const { directory } = this.#directory ?? {};
    this.#log.info(
      `started: version ${version}, uid ${process.getuid?.()}, directory ${directory}, ${this.#service?.size} ccaches`,
    );
    if (this.#phase === 'stopping') return;
    this.#directory?.guard({
      passOver: (name) => this.#service?.noticeFile(name) ?? false,
      onRestored: () => this.#restore(),
      onLost: (isLocked) => this.#lose(isLocked),
    });
  }

  /** Removes the names of a worker that has lost the election. */
  discard(): void {
    this.#directory?.leave();
  }

  /** Answers the requests that have arrived, sends their replies, and exits. `why` is for the log. */
  stop(why: string): void {
    if (this.#phase === 'stopping') return;
    this.#phase = 'stopping';
    this.#log.info(`exiting (uid ${process.getuid?.()}): ${why}`);
    this.#directory?.unguard();
    this.#directory?.withdraw();
    this.#directory?.closeLinks();
    this.#service?.shutDown();
    this.#connections.finishSoon();
    setTimeout(() => this.#exit(), LAST_REPLIES);
    this.#exitWhenEmpty();
  }

  #newServer(): Server {
    return createServer({ allowHalfOpen: true, pauseOnConnect: true }, (socket) => {
      if (this.#peerCheck.isServed(socket)) this.#serve(InputSocket.ofAccepted(socket));
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

  /** `read` is what has been read of the connection before. */
  #serve(socket: InputSocket, read?: Buffer): void {
    // Until the election is won, only other candidates connect, to look whether this one listens.
    if (!this.#service || !this.#connections.hasRoom()) {
      socket.destroy();
      return;
    }
    if (this.#account?.hasChanged() && !this.#beginAnew(this.#account)) {
      socket.destroy();
      return;
    }
    this.#idle.addConnection();
    this.#connections.open(socket, this.#service.openSession(), read, () => {
      this.#idle.removeConnection();
      this.#exitWhenEmpty();
    });
    if (this.#phase === 'stopping') this.#connections.finishSoon();
  }

  /** Withdraws the names first. A client that had found them is served, and then the worker publishes them again. */
  #exitIfStillIdle(why: string): void {
    if (this.#phase !== 'serving') return;
    this.#directory?.withdraw();
    this.#phase = 'withdrawn';
    setTimeout(() => {
      if (this.#phase !== 'withdrawn') return;
      const hasEnded = this.#isLogin && this.#company.hasEnded;
      if (this.#idle.connections === 0 && (hasEnded || !this.#mustStayAlive)) {
        if (hasEnded) this.#endSession();
        this.stop(why);
      } else {
        this.#directory?.publish();
        this.#phase = 'serving';
        this.#idle.watch();
      }
    }, FAREWELL);
  }

  get #mustStayAlive(): boolean {
    return this.#service?.mustStayAlive() ?? false;
  }

  /** The tickets of a login session go with it. */
  #endSession(): void {
    try {
      this.#service?.clear();
    } catch (error) {
      this.#log.error(`cannot destroy the tickets of a session that has ended: ${(error as Error).message}`);
    }
  }

  #restore(): void {
    this.#account?.restore();
    this.#service?.restore();
  }

  /** Has nothing left of the account that the uid was, and no connection of it; false where that fails. */
  #beginAnew(account: AccountMark): boolean {
    this.#connections.destroyAll();
    try {
      account.change(() => this.#service?.clear());
      return true;
    } catch (error) {
      this.#log.error(`cannot remove the tickets of a former account: ${(error as Error).message}`);
      return false;
    }
  }

  /** Where another worker may write to the storage, this one must not any more. */
  #lose(isLocked: boolean): void {
    if (!isLocked) this.#service?.forsake();
    this.stop('its directory is gone or has another worker');
  }

  async #exitWhenEmpty(): Promise<void> {
    if (this.#phase !== 'stopping' || this.#connections.size > 0) return;
    // A client may have been on its way when the names went.
    await nextTurns();
    if (this.#connections.size === 0) this.#exit();
  }

  /** Ends the process at once: another worker has the directory from here on. */
  #exit(): never {
    const ends = this.#removesDirectory && this.#service?.size === 0;
    this.#service?.close(ends);
    this.#directory?.leave(ends);
    process.exit(0);
  }
}

/** The timeouts in milliseconds. */
function timeoutsOf({ idleTimeout, aloneTimeout }: WorkerSettings): IdleTimeouts {
  return { idle: idleTimeout * 1000, alone: aloneTimeout * 1000 };
}
