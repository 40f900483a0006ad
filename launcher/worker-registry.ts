import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { decideAccess } from '../etc/config/access-rules.ts';
import { MAX_SOCKET_PATH, SOCKET_NAME } from '../etc/config/paths.ts';
import { type SettingTexts, settingArguments } from '../etc/config/settings.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { MAX_NAME } from '../etc/host/account.ts';
import { type Identity, NO_GROUP } from '../etc/host/identity.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { type NameService, NameServiceError } from '../etc/host/name-service.ts';
import type { User } from '../etc/host/passwd.ts';
import { CCAPIError } from '../proto/errors.ts';
import { RendezvousError, type WorkerKey } from '../proto/rendezvous.ts';
import { isMade, isRootsPlace, prepareBaseDirectory, prepareUserDirectory } from './directories.ts';
import { NewWorkers } from './new-workers.ts';
import { requestSpace, UNIT_BASE } from './request-space.ts';
import type { UserDirectory } from './user-directory.ts';
import { type SpaceBounds, spaceBounds } from './user-space.ts';
import type { WaitingWorker } from './waiting-worker.ts';
import { WorkerPlaces } from './worker-places.ts';

/** How long a worker may take until it listens, in milliseconds. */
const START_DEADLINE = 20_000;

/** How soon it is looked first whether another launcher's worker has come up, in milliseconds. */
const FIRST_LOOK = 25;

/** What a registry needs of the launcher. */
interface RegistryOptions {
  /** Where the users' directories are made. */
  base: string;
  settings: Settings;
  /** The settings that the launcher was given on its command line; a worker gets them too. */
  given: SettingTexts;
  launcherUid: number;
  names: NameService;
  log: Log;
  /** Starts a worker with the arguments of one. */
  startWorker(args: readonly string[]): Promise<WaitingWorker>;
  /** Whether systemd starts the workers and mounts their space. */
  isByUnits: boolean;
  /** Whether a started worker is kept waiting for the next user. */
  keepsSpare: boolean;
  /** One that has been started already. */
  spare?: WaitingWorker | undefined;
}

/** The workers of all users: finds one, or starts it. */
export class WorkerRegistry {
  #options: RegistryOptions;
  readonly #starting = new Map<string, Promise<void>>();
  readonly #places: WorkerPlaces;
  /** How many workers that this launcher has started a uid has; with `scope = session` one for each session. */
  readonly #sessions = new Map<number, number>();
  /** The bounds of a new user's file system, where users have their own and one can be mounted. */
  #bounds: SpaceBounds | undefined;
  #running = 0;
  readonly #newWorkers: NewWorkers;

  constructor(options: RegistryOptions) {
    this.#options = options;
    this.#places = new WorkerPlaces(options.names);
    this.#newWorkers = new NewWorkers(options.startWorker, options.spare);
    this.configure(options);
  }

  /** Goes by other settings from here on. Workers that run are found where they are, if their directories are the same. */
  configure({ base, settings }: Pick<RegistryOptions, 'base' | 'settings'>): void {
    this.#options = { ...this.#options, base, settings };
    this.#places.configure(base, settings);
    this.#bounds = spaceBounds(settings.userSpace);
    this.#newWorkers.configure(
      settingArguments({ ...this.#options.given, directory: base }),
      settings.scope === 'user',
    );
  }

  /** The path of the socket of the worker, which listens. Throws a {@link RendezvousError}. */
  async socketOf(key: WorkerKey): Promise<string> {
    const { uid } = key;
    const { launcherUid } = this.#options;
    if (launcherUid !== 0 && uid !== launcherUid) {
      throw new RendezvousError(
        'cannot-become-uid',
        `this launcher runs as uid ${launcherUid} and cannot serve uid ${uid}; only one started by root can`,
      );
    }
    const place = await askNames(async () => {
      await this.#checkAccess(uid);
      return this.#places.ofWorker(key);
    });
    const path = `${place.path}/${SOCKET_NAME}`;
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
      throw new RendezvousError('config', `${path} is longer than a socket's path may be: choose another directory`);
    }
    if (await isServing(place)) return path;
    let starting = this.#starting.get(path);
    if (!starting) {
      starting = this.#start(key, place).finally(() => this.#starting.delete(path));
      this.#starting.set(path, starting);
    }
    await starting;
    return path;
  }

  /** Connects to a socket of the worker. Rejects with the system's error where none listens. */
  connectTo = async (key: WorkerKey, name: string): Promise<Socket> => (await this.#places.ofWorker(key)).connect(name);

  /** How many workers that this launcher has started are there, but for one that waits for its user. */
  get running(): number {
    return this.#running;
  }

  /** Before anything is made for a uid. */
  async #checkAccess(uid: number): Promise<void> {
    const { allow, deny } = this.#options.settings;
    if (allow.length + deny.length === 0) return;
    const { allowed, rule } = await decideAccess({ allow, deny }, uid, this.#options.names).catch((error) => {
      throw error instanceof CCAPIError ? new RendezvousError('config', error.message, { cause: error }) : error;
    });
    if (!allowed) throw new RendezvousError('denied', `uid ${uid} is not served: ${rule ?? 'no allow line names it'}`);
  }

  async #start(key: WorkerKey, place: UserDirectory): Promise<void> {
    const { uid, session } = key;
    const { base, settings, launcherUid } = this.#options;
    const owner = await askNames(() => this.#identity(uid));
    if (settings.pathTemplate === undefined) prepareBaseDirectory(base, launcherUid);
    const userPlace = await this.#places.ofUser(uid);
    const began = monotonic();
    for (;;) {
      const unlock = await this.#lock(userPlace);
      if (unlock) {
        try {
          if (await isServing(place)) return;
          await this.#prepareDirectory(userPlace, owner);
          return await this.#spawn(owner, this.#places.sessionFor(session));
        } finally {
          // Behind the answer.
          setImmediate(() => this.#giveBack(unlock));
        }
      }
      if (await isServing(place)) return;
      const waited = monotonic() - began;
      if (waited > START_DEADLINE) throw new RendezvousError('timeout', `no worker came up for uid ${uid}`);
      // Less and less often: launchers that look take the processors from the one that starts.
      await delay(Math.max(FIRST_LOOK, waited / 4));
    }
  }

  /** A lock that cannot be removed is stale once this process has ended. */
  #giveBack(unlock: () => void): void {
    try {
      unlock();
    } catch (error) {
      this.#options.log.warning(`a start lock stays: ${(error as Error).message}`);
    }
  }

  async #prepareDirectory(place: UserDirectory, owner: Identity): Promise<void> {
    const { isByUnits, launcherUid, log } = this.#options;
    const requested = isByUnits ? await this.#requestSpace(place) : undefined;
    const failed = prepareUserDirectory(place, owner, launcherUid, isByUnits ? undefined : this.#bounds) ?? requested;
    if (!failed) return;
    log.warning(`user_space: ${failed.message}; uid ${owner.uid} shares the space of ${this.#options.base}`);
    // What this process may not do once, it may never do.
    if (['EPERM', 'ENOSYS'].includes((failed as NodeJS.ErrnoException).code ?? '')) this.#bounds = undefined;
  }

  /** The unit knows the base that is root's default, and no path_template. */
  async #requestSpace(place: UserDirectory): Promise<Error | undefined> {
    if (!this.#bounds || place.kind !== 'base' || place.root !== UNIT_BASE || isMade(place)) return undefined;
    return requestSpace(place.uid);
  }

  async #identity(uid: number): Promise<Identity & { name?: string }> {
    const { launcherUid, names, settings } = this.#options;
    if (uid === launcherUid) return { uid, gid: process.getgid?.() ?? uid };
    const user: User | undefined = await names.user(uid);
    if (user) return user;
    if (settings.unknownUids === 'allow') return { uid, gid: NO_GROUP, name: '' };
    throw new RendezvousError('unknown-uid', `the passwd database has no uid ${uid}; see unknown_uids in krb5.conf`);
  }

  async #spawn({ uid, gid, name }: Identity & { name?: string }, session: string | undefined): Promise<void> {
    const count = this.#sessions.get(uid) ?? 0;
    const { maxSessions } = this.#options.settings;
    if (session !== undefined && count >= maxSessions) {
      throw new RendezvousError('session', `uid ${uid} has ${count} sessions with a worker: max_sessions in krb5.conf`);
    }
    this.#running++;
    this.#sessions.set(uid, count + 1);
    let worker: WaitingWorker;
    try {
      worker =
        session === undefined ? await this.#newWorkers.take() : await this.#newWorkers.start(`--session=${session}`);
    } catch (error) {
      this.#forget(uid);
      throw error;
    }
    worker.exited.then(() => this.#forget(uid));
    await worker.assign({ uid, gid, name: name?.slice(0, MAX_NAME) }, START_DEADLINE);
    // Behind the answer: this user does not wait for the next one's worker, and does not fail with it.
    if (this.#options.keepsSpare) setImmediate(() => this.#newWorkers.prepareSpare());
  }

  #forget(uid: number): void {
    this.#running--;
    const left = (this.#sessions.get(uid) ?? 1) - 1;
    if (left > 0) this.#sessions.set(uid, left);
    else this.#sessions.delete(uid);
  }

  /**
   * Keeps a storm of launchers from starting a storm of workers, which decide among themselves anyhow which of them serves.
   * Where others can put things, root makes no lock.
   */
  async #lock(place: UserDirectory): Promise<(() => void) | undefined> {
    if (this.#options.launcherUid === 0 && !isRootsPlace(place)) return () => {};
    const { acquireProcessLock } = await import('../etc/host/process-lock.ts');
    try {
      return acquireProcessLock(`${place.path}.lock`);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      throw new RendezvousError('internal', `${place.path}.lock cannot be made: ${code}`, { cause: error });
    }
  }
}

async function isServing(place: UserDirectory): Promise<boolean> {
  try {
    (await place.connect(SOCKET_NAME)).destroy();
    return true;
  } catch {
    return false;
  }
}

/** A name service that does not answer costs the client who needs it, and nothing is decided without its answer. */
async function askNames<T>(ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    if (error instanceof NameServiceError) throw new RendezvousError('timeout', error.message, { cause: error });
    throw error;
  }
}
