/** Node fires a longer timer at once. */
import { monotonic } from '../etc/host/monotonic.ts';

const LONGEST_TIMER = 2 ** 31 - 1;

/** What decides whether a worker may leave. */
interface IdleExitConditions {
  /** Whether something is held that would be lost. */
  mustStayAlive(): boolean;
  leave(): void;
}

/** Tells a worker when to exit: no client is connected, nothing would be lost, and the last request is `idle_timeout` ago. */
export class IdleExit {
  /** Milliseconds without a request after which it may leave. A change holds from the next look on. */
  idleTimeout: number;
  readonly #conditions: IdleExitConditions;
  #connections = 0;
  #lastRequest = monotonic();

  constructor(idleTimeout: number, conditions: IdleExitConditions) {
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

  /** Milliseconds until idle exit, not counting `closing` connections; undefined while something keeps the worker. */
  leavesIn(closing: number): number | undefined {
    if (this.#connections > closing || this.#conditions.mustStayAlive()) return undefined;
    return Math.max(0, this.#lastRequest + this.idleTimeout - monotonic());
  }

  /** There was a request, at this time of `performance`. */
  touch(now: number): void {
    this.#lastRequest = now;
  }

  /** A connection alone is no request: it may only look whether a worker listens. */
  addConnection(): void {
    this.#connections++;
  }

  removeConnection(): void {
    this.#connections--;
  }

  /** One timer, set again only when it has run out: a request costs no more than taking note of the time. */
  #lookAgainIn(milliseconds: number): void {
    setTimeout(
      () => {
        const left = this.#lastRequest + this.idleTimeout - monotonic();
        if (left > 0) this.#lookAgainIn(left);
        else if (this.#connections > 0 || this.#conditions.mustStayAlive()) this.#lookAgainIn(this.idleTimeout);
        else this.#conditions.leave();
      },
      Math.min(Math.ceil(milliseconds), LONGEST_TIMER),
    );
  }
}
