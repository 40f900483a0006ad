import { closeSync, renameSync, unlinkSync } from 'node:fs';
import { monotonic } from '../../etc/host/monotonic.ts';
import { attempt, overwrite } from './atomic-file.ts';

/** How long a former view can still be read by a program that has opened it, in milliseconds. */
const LINGER = 1000;

/** How many former views are kept open for that at the most, and how many bytes of them. */
const [MOST_VIEWS, MOST_BYTES] = [128, 4 << 20];

/** What the names of former views begin with, in the directory of the kept ccaches. */
export const FORMER_PREFIX = 'former.';

/** Does something that takes of the time for writes. */
type Charge = (action: () => void) => void;

interface FormerView {
  descriptor: number;
  size: number;
  /** When it was replaced. */
  at: number;
  /** Where it is now. */
  path: string | undefined;
}

/**
 * Views that were replaced. Each is overwritten once no program reads it any more. Until then it has a name, where it can:
 * Heimdal's library opens a file first and refuses one without a name then.
 */
export class FormerViews {
  readonly #directory: string;
  readonly #charge: Charge;
  readonly #views: FormerView[] = [];
  #names = 0;
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  /** `directory` is that of the kept ccaches. */
  constructor(directory: string, charge: Charge) {
    this.#directory = directory;
    this.#charge = charge;
  }

  /** Takes a view of so many bytes, and closes it in the end; `path` is where it is, if it has a name still. */
  add(descriptor: number, size: number, path?: string): void {
    const moved = path === undefined ? undefined : this.#moved(path, descriptor);
    this.#views.push({ descriptor, size, at: monotonic(), path: moved });
    this.#bytes += size;
    while (this.#views.length > MOST_VIEWS || this.#bytes > MOST_BYTES) this.#shredOldest();
    this.#shredLater();
  }

  /** Overwrites all of them now. */
  shredAll(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#shred(Number.POSITIVE_INFINITY);
  }

  /** No timer keeps the process. */
  #shredLater(): void {
    if (this.#views.length === 0) return;
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#shred(monotonic() - LINGER);
      this.#shredLater();
    }, LINGER).unref();
  }

  /** Overwrites those that were taken up to a time. */
  #shred(until: number): void {
    this.#charge(() => {
      while (this.#views[0] && this.#views[0].at <= until) this.#shredOldest();
    });
  }

  #shredOldest(): void {
    const oldest = this.#views.shift();
    if (!oldest) return;
    this.#bytes -= oldest.size;
    // A hard link of the user's own leads to it still; nothing is gained by what it shows.
    attempt(() => overwrite(oldest.descriptor));
    closeSync(oldest.descriptor);
    if (oldest.path !== undefined) attempt(() => unlinkSync(oldest.path as string));
  }

  /** Gives a view a name of its own; where that fails it has none, and where it cannot lose its name it is overwritten now. */
  #moved(path: string, descriptor: number): string | undefined {
    const own = `${this.#directory}/${FORMER_PREFIX}${this.#names++}`;
    if (attempt(() => renameSync(path, own) ?? own)) return own;
    if (!attempt(() => unlinkSync(path) ?? true)) attempt(() => overwrite(descriptor));
    return undefined;
  }
}
