import { statfsSync } from 'node:fs';
import type { Server } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { SOCKET_NAME } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { isListening } from '../etc/host/is-listening.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { sharedFileSystem } from '../etc/host/shared-file-systems.ts';
import { CCAPIError, ConfigError } from '../proto/errors.ts';
import { DirectoryWatch } from './directory-watch.ts';
import { Election } from './election.ts';
import { LinkPort, type Take } from './link.ts';
import { PublishedSocket } from './published-socket.ts';

/** Milliseconds between two attempts to take the directory: at first, doubled each time, and at most. */
const RETRY = { first: 5, most: 250 };

/** Milliseconds until a candidate gives up on an owner that cannot be reached; more than one needs to leave. */
const PATIENCE = 10_000;

/** What a place is given to serve. */
interface WorkerDirectoryOptions {
  /** Gives what is to listen on `S.ccapi`. */
  newServer: () => Server;
  /** Takes a connection that came to the front door. */
  take: Take;
  /** Whether systemd listens on `S.ccapi`. */
  isPassed: boolean;
  log: Log;
}

/** What a worker does when its place changes under it. */
interface WorkerDirectoryEvents {
  /** Whether an event about a file of this name is no concern of the directory's. */
  passOver(name: string): boolean;
  /** Names were made anew; other files may be missing too. */
  onRestored(): void;
  /** The directory is gone, or may have another worker. With `isLocked` no other can write what this one has. */
  onLost(isLocked: boolean): void;
}

/** A worker's directory: its names in it, and the right to serve there. */
export class WorkerDirectory {
  readonly directory: string;
  readonly #election: Election;
  readonly #socket: PublishedSocket;
  readonly #links: LinkPort;
  readonly #isPassed: boolean;
  readonly #log: Log;
  #watch: DirectoryWatch | undefined;

  private constructor(
    directory: string,
    election: Election,
    socket: PublishedSocket,
    links: LinkPort,
    { isPassed, log }: WorkerDirectoryOptions,
  ) {
    this.directory = directory;
    this.#election = election;
    this.#socket = socket;
    this.#links = links;
    this.#isPassed = isPassed;
    this.#log = log;
  }

  /** Listens in a directory, under names of its own. Throws the system's error. */
  static async open(directory: string, options: WorkerDirectoryOptions): Promise<WorkerDirectory> {
    const id = `${process.pid.toString(36)}.${(process.hrtime.bigint() % 36n ** 4n).toString(36)}`;
    const election = new Election(directory, id);
    const socket = await PublishedSocket.listen(options.newServer, directory, SOCKET_NAME, id);
    const links = await LinkPort.open(directory, id, options.take, options.log);
    return new WorkerDirectory(directory, election, socket, links, options);
  }

  /** Leads to the directory also after another has taken its name. */
  get path(): string {
    return this.#election.path;
  }

  /**
   * Waits for the directory: true once it is this worker's, false once another one can be found in it. A worker for which
   * systemd listens cannot be replaced by another, and waits for as long as that takes.
   */
  async acquire(): Promise<boolean> {
    const deadline = this.#isPassed ? Infinity : monotonic() + PATIENCE;
    for (let pause = RETRY.first; !(await this.#election.acquire()); pause = Math.min(2 * pause, RETRY.most)) {
      if (!this.#isPassed && (await isListening(this.#socket.path))) return false;
      if (monotonic() > deadline) {
        throw new CCAPIError('ccErrServerUnavailable', `${this.directory} has a worker that cannot be reached`);
      }
      await delay(pause);
    }
    return true;
  }

  /** Makes the worker known, also again after {@link withdraw}. */
  publish(): void {
    this.#links.socket.publish();
    if (!this.#isPassed) this.#socket.publish();
  }

  /** Gives the known names up and stays reachable for clients that are on their way. */
  withdraw(): void {
    this.#socket.withdraw();
    this.#links.socket.withdraw();
  }

  /** Takes nothing more of launchers; what has come is served. */
  closeLinks(): void {
    this.#links.close();
  }

  /** Tidies the directory up, and restores from here on what is removed from it. */
  guard(events: WorkerDirectoryEvents): void {
    this.#watch = new DirectoryWatch(this.directory, () => this.#restore(events), undefined, events.passOver);
    this.#election.sweep().catch((error: Error) => this.#log.warning(`${this.directory}: ${error.message}`));
  }

  /** Restores nothing any more. */
  unguard(): void {
    this.#watch?.close();
    this.#watch = undefined;
  }

  /** Removes all that is this worker's; `forGood` the directory as well. The process has to end next. */
  leave(forGood = false): void {
    this.unguard();
    this.#socket.remove();
    this.#links.socket.remove();
    if (forGood) this.#election.retire();
    else this.#election.release();
  }

  async #restore(events: WorkerDirectoryEvents): Promise<void> {
    if (!this.#watch) return;
    try {
      if (!this.#election.retain()) {
        events.onLost(this.#election.isLocked);
        return;
      }
      await Promise.all([this.#socket.restore(), this.#links.socket.restore()]);
      events.onRestored();
    } catch (error) {
      // The next event in the directory leads here again.
      this.#log.error(`${this.directory} cannot be restored: ${(error as Error).message}`);
    }
  }
}

/** File systems that are memory (statfs(2), `f_type`): tmpfs and ramfs. */
const inMemory = new Set([0x01021994, 0x858458f6]);

/** Whether what is stored is kept in a directory: `auto` keeps it where it reaches no disk and does not outlive a boot. */
export function isPersistent(directory: string, persist: Settings['persist']): boolean {
  if (persist === 'auto') return process.platform === 'linux' && inMemory.has(statfsSync(directory).type >>> 0);
  return persist === 'always';
}

/**
 * Makes sure that a directory is this host's alone. The socket of another host's worker cannot be connected to, so its
 * worker would seem dead, and the two would write the same files. Throws 202 (`ccErrBadParam`).
 */
export function checkLocal(directory: string): void {
  const kind = process.platform === 'linux' ? sharedFileSystem(statfsSync(directory).type) : undefined;
  if (kind === undefined) return;
  throw new ConfigError(
    `${directory} is on ${kind}, which other hosts can have mounted: set directory or path_template in krb5.conf to a directory of this host, such as /run/ccapi`,
  );
}
