import type { Log } from '../etc/host/log.ts';

/** What holds requests that are not answered yet, and can be ended for that. */
export interface InputHolder {
  /** Bytes that are kept of requests, whole or half sent. */
  readonly held: number;
  /** Ends it, and drops what it holds. */
  end(): void;
}

/**
 * Bounds what all connections together make their worker keep of requests. Each may hold one frame of the longest kind;
 * where there is not room for all of them, the connection that holds the most is ended, so that one that sends what is
 * usual is served however many others send half of something long.
 */
export class InputBudget {
  /** Bytes that may be held altogether. */
  most: number;
  readonly #log: Pick<Log, 'warning'>;
  readonly #held = new Map<InputHolder, number>();
  #total = 0;
  #isExceeded = false;

  constructor(most: number, log: Pick<Log, 'warning'>) {
    this.most = most;
    this.#log = log;
  }

  /** Takes note of what a connection holds now, and ends those that hold the most where it is too much altogether. */
  update(holder: InputHolder): void {
    const { held } = holder;
    if (held === 0 && !this.#held.has(holder)) return;
    this.#total += held - (this.#held.get(holder) ?? 0);
    if (held === 0) this.#held.delete(holder);
    else this.#held.set(holder, held);
    while (this.#total > this.most) this.#endLargest();
    if (this.#total <= this.most / 2) this.#isExceeded = false;
  }

  /** A connection is gone. */
  remove(holder: InputHolder): void {
    this.#total -= this.#held.get(holder) ?? 0;
    this.#held.delete(holder);
  }

  #endLargest(): void {
    let largest: InputHolder | undefined;
    let most = 0;
    for (const [holder, held] of this.#held) if (held > most) [largest, most] = [holder, held];
    if (!largest) return;
    this.remove(largest);
    largest.end();
    if (!this.#isExceeded) {
      this.#log.warning(`unanswered requests hold more than ${this.most} bytes; connections with the most are ended`);
    }
    this.#isExceeded = true;
  }
}
