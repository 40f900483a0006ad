import { keptDirectoryIn, SOCKET_NAME } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings.ts';
import { version } from '../etc/config/version.ts';
import type { Log } from '../etc/host/log.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { isConfigServer } from '../proto/krb5-credential.ts';
import type { SettingsReport, WorkerStatus } from '../proto/status.ts';
import type { Lifetime } from './idle.ts';
import { Tidying } from './idle-gc.ts';
import type { CCache } from './model/ccache.ts';
import { hostClock } from './model/change-time.ts';
import { Collection } from './model/collection.ts';
import { Identifiers } from './model/identifiers.ts';
import { Iterators } from './model/iterators.ts';
import { dropUnfinished } from './model/staging-ccaches.ts';
import { keepsIn } from './persistence.ts';
import { CCAPISession } from './protocols/ccapi-session.ts';
import { KCMNames } from './protocols/kcm-names.ts';
import { KCMSession } from './protocols/kcm-session.ts';
import { EitherSession, type Session } from './protocols/session.ts';
import { StatusSession } from './protocols/status-session.ts';
import { Housekeeping, type HouseSettings } from './purge.ts';
import { Renewal } from './renewal.ts';
import { FileStorage } from './storage/file-storage.ts';

/** What a service reads of the settings. */
export type ServiceSettings = HouseSettings & Pick<Settings, 'persist' | 'renew'> & { report?: SettingsReport };

/** What is served in a directory: one collection, kept where the settings have it so, and what is done for it unasked. */
export class Service {
  readonly #log: Log;
  readonly #lifetime: Lifetime;
  readonly #store: FileStorage | undefined;
  readonly #keptIn: string | undefined;
  #report: SettingsReport = {};
  readonly #collection: Collection;
  readonly #iterators: Iterators;
  readonly #names: KCMNames;
  readonly #house: Housekeeping;
  readonly #renewal: Renewal;
  readonly #tidying = new Tidying();
  readonly #started = Math.round(Date.now() / 1000 - process.uptime());
  readonly #requests = new Map<string, { count: number }>();

  /**
   * Reads what is kept there; throws the system's error where that cannot be. `lifetime` is told of each request. What is
   * kept is reached by `path`, which leads to the directory also after another has taken its name.
   */
  constructor(directory: string, settings: ServiceSettings, lifetime: Lifetime, log: Log, path = directory) {
    this.#log = log;
    this.#lifetime = lifetime;
    this.#keptIn = keepsIn(directory, settings.persist) ? keptDirectoryIn(directory) : undefined;
    if (this.#keptIn !== undefined) {
      const sync = settings.persist === 'always';
      this.#store = new FileStorage(keptDirectoryIn(path), sync, replacingLog(log, path, directory));
    }
    const loaded = this.#store?.load(hostClock);
    const collection = new Collection(loaded?.identifiers ?? new Identifiers(), hostClock);
    if (this.#store && loaded) this.#store.attach(collection, loaded.kept);
    dropUnfinished(collection);
    this.#collection = collection;
    this.#iterators = new Iterators(collection);
    this.#names = new KCMNames(collection, process.getuid?.() as number);
    this.#house = new Housekeeping(collection, log);
    this.#renewal = new Renewal(collection, renewer(`${directory}/${SOCKET_NAME}`), hostClock, log);
    this.goBy(settings);
  }

  /** How many ccaches there are. */
  get size(): number {
    return this.#collection.size;
  }

  /** Goes by these settings from here on, also in what it does unasked; how ccaches are kept stays as it is. */
  goBy(settings: ServiceSettings): void {
    this.#report = settings.report ?? {};
    this.#house.goBy(settings);
    if (settings.renew) this.#renewal.start();
    else this.#renewal.stop();
  }

  /** What answers a new connection. */
  openSession(): Session {
    return new EitherSession({
      ccapi: () => new CCAPISession(this.#collection, this.#iterators, this.#log, this.#requested),
      kcm: () => new KCMSession({ collection: this.#collection, names: this.#names }, this.#log, this.#requested),
      status: () => new StatusSession(() => this.#status()),
    });
  }

  /** Whether something would be lost with the process, or not be done. */
  holdsSomething(): boolean {
    if (this.#renewal.next !== undefined) return true;
    if (this.#store) return false;
    const now = hostClock();
    for (const ccache of this.#collection) {
      for (const { value } of ccache.contents.credentials) {
        if (value.endtime > now || (value.endtime === 0 && !isConfigServer(value.server))) return true;
      }
    }
    return false;
  }

  /** Whoever waits is told that it is over, and nothing is done unasked any more. */
  shutDown(): void {
    this.#renewal.stop();
    this.#collection.shutDown();
  }

  /** Keeps anew what was removed from the directory. */
  restore(): void {
    this.#store?.restore();
  }

  /** Writes nothing any more: the directory may be another worker's already. */
  forsake(): void {
    this.#store?.forsake();
  }

  /** The directory is another's from here on; with `forGood` nothing is left in it that was kept. */
  close(forGood: boolean): void {
    this.#store?.close();
    if (forGood) this.#store?.removeDirectory();
  }

  #requested = (name: string): void => {
    const now = monotonic();
    this.#lifetime.requested(now);
    this.#tidying.requested(now);
    const asked = this.#requests.get(name);
    if (asked) asked.count++;
    else this.#requests.set(name, { count: 1 });
  };

  /** The one who asks is not counted: that they are there keeps nobody. */
  #status(): WorkerStatus {
    const leavesIn = this.#lifetime.leavesIn(1);
    const renewsAt = this.#renewal.next;
    return {
      version,
      pid: process.pid,
      started: this.#started,
      memory: process.memoryUsage.rss(),
      ccaches: this.#collection.size,
      credentials: this.#collection.limits.held.credentials,
      connections: this.#lifetime.connections - 1,
      settings: this.#report,
      requests: Object.fromEntries([...this.#requests].map(([name, { count }]) => [name, count])),
      ...(this.#keptIn !== undefined && { keptIn: this.#keptIn }),
      ...(leavesIn !== undefined && { leavesIn: Math.round(leavesIn / 1000) }),
      ...(renewsAt !== undefined && { renewsIn: Math.max(0, renewsAt - hostClock()) }),
    };
  }
}

/** A log in whose lines one text stands for another. */
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
