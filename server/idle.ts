import { monotonic } from '../etc/host/monotonic.ts';

/** Node fires a longer timer at once. */
const LONGEST_TIMER = 2 ** 31 - 1;

/** How far apart looks for other processes of the user may get, in milliseconds: between two of them a user logs out. */
const MAX_PAUSE = 8000;

/** Milliseconds without a request after which a worker may leave: at all, and where its user has no other process. */
export interface IdleTimeouts {
  idle: number;
  alone: number;
}

/** What decides whether a worker may leave. */
interface IdleExitConditions {
  /** Whether something is held that would be lost. */
  mustStayAlive(): boolean;
  /** Whether the user has no other process. */
  isAlone(): boolean;
  /** Whether something has to go at a moment that only a worker notices, and the next one makes up for. */
  shouldStay?(): boolean;
  /** Whether the login session is over that all of this is for: then nothing would be lost. */
  hasEnded?(): boolean;
  /** `why` is for the log. */
  leave(why: string): void;
}

/**
 * Tells a worker when to exit: no client is connected, nothing would be lost, and the last request is `idle_timeout` ago, or
 * `alone_timeout` where the user has no other process. Such a user is gone, and an account with a process cannot be removed.
 */
export class IdleExit {
  /** A change holds from the next look on. */
  timeouts: IdleTimeouts;
  readonly #conditions: IdleExitConditions;
  #connections = 0;
  #lastRequest = monotonic();
  #pause = 0;

  constructor(timeouts: IdleTimeouts, conditions: IdleExitConditions) {
    this.timeouts = timeouts;
    this.#conditions = conditions;
    this.watch();
  }

  /** Begins to watch, also again after it has told to leave and that came to nothing. */
  watch(): void {
    const { idle, alone } = this.timeouts;
    this.#pause = Math.min(alone, idle);
    this.#lookAgainIn(this.#pause);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections;
  }

  /** Milliseconds until idle exit, not counting `closing` connections; undefined while something keeps the worker. */
  leavesIn(closing: number): number | undefined {
    const { mustStayAlive, shouldStay } = this.#conditions;
    if (this.#connections > closing || mustStayAlive() || shouldStay?.()) return undefined;
    return Math.max(0, this.#lastRequest + this.timeouts.idle - monotonic());
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
    setTimeout(() => this.#look(), Math.min(Math.ceil(milliseconds), LONGEST_TIMER));
  }

  #look(): void {
    const { idle, alone } = this.timeouts;
    const past = monotonic() - this.#lastRequest;
    const first = Math.min(alone, idle);
    if (past < first) {
      this.#pause = first;
      this.#lookAgainIn(first - past);
      return;
    }
    const isIdle = past >= idle;
    const why = this.#connections === 0 ? this.#whyLeave(isIdle) : undefined;
    if (why !== undefined) {
      this.#conditions.leave(why);
      return;
    }
    this.#pause = Math.min(2 * this.#pause, Math.max(first, MAX_PAUSE), idle);
    this.#lookAgainIn(isIdle ? this.#pause : Math.min(this.#pause, idle - past));
  }

  #whyLeave(isIdle: boolean): string | undefined {
    const { mustStayAlive, shouldStay, isAlone, hasEnded } = this.#conditions;
    if (hasEnded?.()) return 'its login session has ended';
    if (mustStayAlive()) return undefined;
    if (isIdle && !shouldStay?.()) return `idle for ${this.timeouts.idle / 1000} s`;
    return isAlone() ? 'its user has no other process' : undefined;
  }
}
