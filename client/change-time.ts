import { type Identifier, isInitialised, uninitialised } from '../proto/identifier.ts';

/**
 * The change time of the collection as a program sees it: it only grows, and grows by one
 * when a server appears, disappears or is replaced. One for the whole process, so values of one process compare.
 */
class ProcessChangeTime {
  #base = 0;
  #offset = 0;
  #seen: Identifier = uninitialised;

  /** A sync, other than a context's first, found this server, or with the uninitialised identifier none. */
  noteSync(found: Identifier): void {
    if (found.server === this.#seen.server) return;
    const gone = isInitialised(this.#seen) && !isInitialised(found);
    this.#seen = found;
    this.#offset++;
    if (!gone) return;
    this.#base = Math.max(this.#base + this.#offset, Math.floor(Date.now() / 1000));
    this.#offset = 0;
  }

  /** A server gave this as its collection's change time. */
  noteTime(time: number, by: Identifier): void {
    this.#base = Math.max(this.#base, time);
    if (by.server !== this.#seen.server) this.#seen = by;
  }

  /** Unsigned 32-bit seconds; 0 before any server was ever seen. */
  get value(): number {
    return (this.#base + this.#offset) >>> 0;
  }
}

export const processChangeTime = new ProcessChangeTime();
