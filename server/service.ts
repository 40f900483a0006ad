import { keptDirectoryIn, SOCKET_NAME } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { privateMemory } from '../etc/host/private-memory.ts';
import { isConfigServer } from '../proto/krb5-credential.ts';
import type { SettingsReport, WorkerStatus } from '../proto/status.ts';
import { version } from '../proto/status.ts';
import type { IdleExit } from './idle.ts';
import { IdleGC } from './idle-gc.ts';
import { LoginCCaches } from './login-ccaches.ts';
import type { CCache } from './model/ccache.ts';
import { hostClock } from './model/change-time.ts';
import { Collection } from './model/collection.ts';
import { Identifiers } from './model/identifiers.ts';
import { Iterators } from './model/iterators.ts';
import { destroyStaging } from './model/staging-ccaches.ts';
import { CCAPISession } from './protocols/ccapi-session.ts';
import { KCMNames } from './protocols/kcm-names.ts';
import { KCMSession } from './protocols/kcm-session.ts';
import { type Session, SessionDispatcher } from './protocols/session.ts';
import { StatusSession } from './protocols/status-session.ts';
import { Purge, type PurgeSettings } from './purge.ts';
import { Renewal } from './renewal.ts';
import { FileStorage } from './storage/file-storage.ts';
import { LiveView } from './storage/live-view.ts';
import { isPersistent } from './worker-directory.ts';

/** What a service reads of the settings. */
export type ServiceSettings = PurgeSettings & Pick<Settings, 'persist' | 'renew'> & { report?: SettingsReport };

/** What a service tells of its requests, and asks for its status. */
export type IdleNote = Pick<IdleExit, 'touch' | 'leavesIn' | 'connections'>;

/** Serves one collection of a directory: sessions, storage where the settings say so, purge and renewal. */
export class Service {
  readonly #log: Log;
  readonly #idle: IdleNote;
  readonly #storage: FileStorage | undefined;
  readonly #view: LiveView | undefined;
  readonly #storagePath: string | undefined;
  #report: SettingsReport = {};
  readonly #collection: Collection;
  readonly #iterators: Iterators;
  readonly #names: KCMNames;
  readonly #logins: LoginCCaches;
  readonly #purge: Purge;
  readonly #renewal: Renewal;
  readonly #idleGC = new IdleGC();
  readonly #started = Math.round(Date.now() / 1000 - process.uptime());
  readonly #requests = new Map<string, { count: number }>();

  /**
   * Loads the collection from its storage, which is reached by `path`: it leads to the directory also after another has
   * taken its name. `idle` is told of each request. Throws the system's error where the storage cannot be read.
   */
  constructor(directory: string, settings: ServiceSettings, idle: IdleNote, log: Log, path = directory) {
    this.#log = log;
    this.#idle = idle;
    this.#storagePath = isPersistent(directory, settings.persist) ? keptDirectoryIn(directory) : undefined;
    if (this.#storagePath !== undefined) {
      const sync = settings.persist === 'always';
      this.#storage = new FileStorage(keptDirectoryIn(path), sync, replacingLog(log, path, directory));
    }
    const loaded = this.#storage?.load(hostClock);
    const collection = new Collection(loaded?.identifiers ?? new Identifiers(), hostClock);
    if (this.#storage && loaded) this.#storage.attach(collection, loaded.kept);
    destroyStaging(collection);
    if (this.#storage) {
      this.#view = new LiveView(path, collection, settings.persist === 'always', replacingLog(log, path, directory));
      this.#storage.show(this.#view);
    }
    this.#collection = collection;
    const uid = process.getuid?.() as number;
    this.#logins = new LoginCCaches(collection, uid, log);
    this.#iterators = new Iterators(collection);
    this.#names = new KCMNames(collection, uid, this.#logins.find);
    this.#purge = new Purge(collection, log);
    const renew = renewer(`${directory}/${SOCKET_NAME}`);
    const renewLogins = (ccache: CCache, signal: AbortSignal) =>
      this.#logins.keepMark(ccache, () => renew(ccache, signal));
    this.#renewal = new Renewal(collection, renewLogins, hostClock, log);
    this.configure(settings);
  }

  /** How many ccaches there are. */
  get size(): number {
    return this.#collection.size;
  }

  /** Applies other settings, also to purge and renewal; storage stays as it is. */
  configure(settings: ServiceSettings): void {
    this.#report = settings.report ?? {};
    this.#purge.configure(settings);
    if (settings.renew) this.#renewal.start();
    else this.#renewal.stop();
  }

  /** Opens the session of a new connection. */
  openSession(): Session {
    const openers = {
      ccapi: () =>
        new CCAPISession(this.#collection, this.#iterators, this.#log, this.#countRequest, this.#logins.find),
      kcm: () => new KCMSession({ collection: this.#collection, names: this.#names }, this.#log, this.#countRequest),
      status: () => new StatusSession(() => this.#status()),
    };
    return new SessionDispatcher(openers, () => {
      this.#logins.settle();
      this.#view?.update();
    });
  }

  /** Whether there are tickets of a login, which go when it ends. */
  get isHoldingLogin(): boolean {
    return this.#logins.isHolding;
  }

  /** Whether exiting now would lose a ticket or skip a renewal. */
  mustStayAlive(): boolean {
    if (this.#renewal.next !== undefined) return true;
    if (this.#storage) return false;
    const now = hostClock();
    for (const ccache of this.#collection) {
      for (const { value } of ccache.contents.credentials) {
        if (value.endtime > now || (value.endtime === 0 && !isConfigServer(value.server))) return true;
      }
    }
    return false;
  }

  /** Answers the clients that wait, and stops purges and renewals. */
  shutDown(): void {
    this.#idleGC.stop();
    this.#purge.stop();
    this.#renewal.stop();
    this.#logins.close();
    this.#collection.shutDown();
  }

  /** Destroys all ccaches. Throws 203 (`ccErrNoMem`) where one cannot be destroyed. */
  clear(): void {
    for (const ccache of [...this.#collection]) this.#collection.destroy(ccache);
    this.#view?.update();
  }

  /** Writes again what was removed from the directory. */
  restore(): void {
    this.#storage?.restore();
    this.#view?.restore();
  }

  /** Whether a file of this name is the live view's, which looks after it by itself. */
  noticeFile(name: string): boolean {
    return this.#view?.notice(name) ?? false;
  }

  /** Stops all writes: the directory may be another worker's already. */
  forsake(): void {
    this.#storage?.forsake();
    this.#view?.forsake();
  }

  /** Closes the storage, since another worker has the directory next; with `forGood` its files are removed. */
  close(forGood: boolean): void {
    this.#view?.close();
    this.#storage?.close();
    if (forGood) this.#storage?.removeDirectory();
  }

  #countRequest = (name: string): void => {
    const now = monotonic();
    this.#idle.touch(now);
    this.#idleGC.touch(now);
    const asked = this.#requests.get(name);
    if (asked) asked.count++;
    else this.#requests.set(name, { count: 1 });
  };

  /** The connection that asks is not counted: it does not keep the worker. */
  #status(): WorkerStatus {
    const leavesIn = this.#idle.leavesIn(1);
    const renewsAt = this.#renewal.next;
    return {
      version,
      pid: process.pid,
      started: this.#started,
      memory: privateMemory() ?? process.memoryUsage.rss(),
      ccaches: this.#collection.size,
      credentials: this.#collection.limits.held.credentials,
      connections: this.#idle.connections - 1,
      settings: this.#report,
      requests: Object.fromEntries([...this.#requests].map(([name, { count }]) => [name, count])),
      ...(this.#storagePath !== undefined && { keptIn: this.#storagePath }),
      ...(leavesIn !== undefined && { leavesIn: Math.round(leavesIn / 1000) }),
      ...(renewsAt !== undefined && { renewsIn: Math.max(0, renewsAt - hostClock()) }),
    };
  }
}

/** A log that writes one text in the place of another. */
function replacingLog(log: Log, text: string, by: string): Log {
  const replacing = (write: (message: string) => void) => (message: string) => write(message.replaceAll(text, by));
  return {
    info: replacing(log.info),
    warning: replacing(log.warning),
    error: replacing(log.error),
    refusal: replacing(log.refusal),
  };
}

/** kinit is loaded with what it needs when there is something to renew. */
function renewer(socket: string): (ccache: CCache, signal: AbortSignal) => Promise<void> {
  return async ({ name }, signal) => {
    const { renewByKinit } = await import('./kinit.ts');
    await renewByKinit(socket, name, signal);
  };
}
