import { monotonic } from '../../etc/host/monotonic.ts';
import { hasTerminal, overwriteLine } from './command.ts';

/** How long something may take before its progress is shown, and how often it is shown then, in milliseconds. */
const INTERVAL = 200;

/** Shows on a terminal how far something long has come; on anything else it shows nothing. */
export class Progress {
  readonly #what: string;
  readonly #total: number;
  #shownAt = monotonic();
  #shown = false;

  constructor(what: string, total: number) {
    this.#what = what;
    this.#total = total;
  }

  /** So much is done. */
  show(done: number): void {
    const now = monotonic();
    if (!hasTerminal() || now - this.#shownAt < INTERVAL) return;
    this.#shownAt = now;
    this.#shown = true;
    overwriteLine(`${this.#what}: ${done} of ${this.#total}`);
  }

  /** It is over: the line is clear again. */
  end(): void {
    if (this.#shown) overwriteLine('');
  }
}
