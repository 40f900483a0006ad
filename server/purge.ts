import type { Settings } from '../etc/config/settings-table.ts';
import type { Log } from '../etc/host/log.ts';
import { hostClock } from './model/change-time.ts';
import type { Collection } from './model/collection.ts';

/** How often it is looked for what has expired, at the least and at the most, in seconds. */
const PURGE_AGAIN = { least: 60, most: 3600 };

/** What a collection may hold, and how long what has expired. */
export type PurgeSettings = Pick<Settings, 'maxCaches' | 'maxCredentials' | 'maxBytes' | 'purgeExpired'>;

/** Has a collection's limits be those of the settings, and removes what has expired, at once and from time to time. */
export class Purge {
  readonly #collection: Collection;
  readonly #log: Log;
  #purging: NodeJS.Timeout | undefined;

  constructor(collection: Collection, log: Log) {
    this.#collection = collection;
    this.#log = log;
  }

  /** Goes by these settings from here on. */
  configure({ maxCaches, maxCredentials, maxBytes, purgeExpired }: PurgeSettings): void {
    const { limits } = this.#collection;
    limits.most = { caches: maxCaches, credentials: maxCredentials, bytes: maxBytes };
    limits.onMet = (message) => this.#log.warning(message);
    clearInterval(this.#purging);
    const seconds = Math.min(Math.max(purgeExpired, PURGE_AGAIN.least), PURGE_AGAIN.most);
    this.#purging = setInterval(() => this.#purge(purgeExpired), seconds * 1000).unref();
    this.#purge(purgeExpired);
  }

  stop(): void {
    clearInterval(this.#purging);
  }

  #purge(after: number): void {
    try {
      this.#collection.purge(hostClock() - after);
    } catch (error) {
      this.#log.error(`what has expired stays: ${(error as Error).message}`);
    }
  }
}
