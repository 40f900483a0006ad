import { closeSync } from 'node:fs';
import { monotonic } from '../../etc/host/monotonic.ts';
import { overwrite } from './atomic-file.ts';

/** How long a former view can still be read by a program that has opened it, in milliseconds. */
const LINGER = 1000;

/** How many former views are kept open for that at the most, and how many bytes of them. */
const [MOST_VIEWS, MOST_BYTES] = [128, 4 << 20];

/** Does something that takes of the time for writes. */
type Charge = (action: () => void) => void;

/** Views that have lost their name. Each is overwritten once no program reads it any more. */
export class FormerViews {
  readonly #charge: Charge;
  readonly #views: { descriptor: number; size: number; at: number }[] = [];
  #bytes = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(charge: Charge) {
    this.#charge = charge;
  }

  /** How many of them can still be read. */
  get count(): number {
    return this.#views.length;
  }

  /** Takes a view of so many bytes, and closes it in the end. */
  add(descriptor: number, size: number): void {
    this.#views.push({ descriptor, size, at: monotonic() });
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
    try {
      // A hard link of the user's own leads to it still; nothing is gained by what it shows.
      overwrite(oldest.descriptor);
    } catch {
      // It has no name any more, so that only the medium has it.
    }
    closeSync(oldest.descriptor);
  }
}
