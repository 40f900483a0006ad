import type { CCache } from '../model/ccache.ts';
import { numberOfCCache } from '../model/identifiers.ts';
import type { CCacheLog } from './ccache-log.ts';

/** How many files stay open, for further writes. */
const MAX_OPEN = 32;

/** The files of all ccaches. One that is used stays open; that which was not used for longest is closed where they become too many. */
export class CCacheLogs {
  readonly #logs: Map<number, CCacheLog>;
  /** Those that are open, in the order of their last use. */
  readonly #open = new Set<CCacheLog>();

  /** `logs` are closed files, by the numbers of their ccaches. */
  constructor(logs: Map<number, CCacheLog> = new Map()) {
    this.#logs = logs;
  }

  /** Whether all of them are there, as they were left. Throws the system's error. */
  get areIntact(): boolean {
    return [...this.#logs.values()].every((log) => log.isIntact);
  }

  /** The file of a ccache, which is to be read or written. */
  use(ccache: CCache): CCacheLog {
    return this.#keepOpen(this.#logs.get(numberOfCCache(ccache.identifier)) as CCacheLog);
  }

  /** Takes the file of a further ccache, which its heading names. */
  add(log: CCacheLog): void {
    this.#logs.set(log.heading.ccache, this.#keepOpen(log));
  }

  /** Closes the file of a ccache that is gone, and knows it no more. */
  forget(ccache: CCache): void {
    const log = this.use(ccache);
    log.close();
    this.#open.delete(log);
    this.#logs.delete(numberOfCCache(ccache.identifier));
  }

  /** Takes the file of a ccache for that of another, which its heading names by now. */
  reassign(from: CCache): void {
    const log = this.use(from);
    this.#logs.delete(numberOfCCache(from.identifier));
    this.add(log);
  }

  closeAll(): void {
    for (const log of this.#open) log.close();
    this.#open.clear();
  }

  #keepOpen(log: CCacheLog): CCacheLog {
    this.#open.delete(log);
    this.#open.add(log);
    const [oldest] = this.#open;
    if (oldest && this.#open.size > MAX_OPEN) {
      oldest.close();
      this.#open.delete(oldest);
    }
    return log;
  }
}
