/** Node fires a longer timer at once. */
import { monotonic } from '../etc/host/monotonic.ts';

const LONGEST_TIMER = 2 ** 31 - 1;

/** What decides whether a worker may leave. */
export interface LifetimeConditions {
  /** Whether something is held that would be lost. */
  holdsSomething(): boolean;
  leave(): void;
}

/** Tells a worker when to leave: nobody is connected, nothing would be lost, and nobody has asked for a while. */
export class Lifetime {
  /** Milliseconds without a request after which it may leave. A change holds from the next look on. */
  idleTimeout: number;
  readonly #conditions: LifetimeConditions;
  #connections = 0;
  #lastRequest = monotonic();

  constructor(idleTimeout: number, conditions: LifetimeConditions) {
    this.idleTimeout = idleTimeout;
    this.#conditions = conditions;
    this.watch();
  }

  /** Begins to watch, also again after it has told to leave and that came to nothing. */
  watch(): void {
    this.#lookAgainIn(this.idleTimeout);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections;
  }

  /** In how many milliseconds it leaves if nobody asks but so many that go at once; undefined while it would not. */
  leavesIn(passing: number): number | undefined {
    if (this.#connections > passing || this.#conditions.holdsSomething()) return undefined;
    return Math.max(0, this.#lastRequest + this.idleTimeout - monotonic());
  }

  /** There was a request, at this time of `performance`. */
  requested(now: number): void {
    this.#lastRequest = now;
  }

  /** Whoever only looks whether somebody is there asks for nothing. */
  connected(): void {
    this.#connections++;
  }

  disconnected(): void {
    this.#connections--;
  }

  /** One timer, set again only when it has run out: a request costs no more than taking note of the time. */
  #lookAgainIn(milliseconds: number): void {
    setTimeout(
      () => {
        const left = this.#lastRequest + this.idleTimeout - monotonic();
        if (left > 0) this.#lookAgainIn(left);
        else if (this.#connections > 0 || this.#conditions.holdsSomething()) this.#lookAgainIn(this.idleTimeout);
        else this.#conditions.leave();
      },
      Math.min(Math.ceil(milliseconds), LONGEST_TIMER),
    );
  }
}
