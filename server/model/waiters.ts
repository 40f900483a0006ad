import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Cancellable, Client } from './cancellation.ts';

interface Waiter extends Cancellable {
  client: Client;
  resolve(changed: number): void;
  reject(error: Error): void;
}

/** The clients that wait for a change of one object; the next change answers all of them (proto/CCAPI.md#waiting). */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  /**
   * Waits until the object changes, and returns its change time then. Rejects with the error of `discard` when it is gone.
   * Never settles where the client is gone before that.
   */
  add(client: Client): Promise<number> {
    return new Promise((resolve, reject) => {
      const waiter: Waiter = { client, resolve, reject, cancel: () => this.#remove(waiter) };
      this.#waiting.add(waiter);
      client.cancellables.add(waiter);
    });
  }

  /** The object changed. */
  wake(changed: number): void {
    for (const waiter of this.#removeAll()) waiter.resolve(changed);
  }

  /** The object is gone. */
  discard(name: ErrorName): void {
    for (const waiter of this.#removeAll()) waiter.reject(new CCAPIError(name));
  }

  #removeAll(): Waiter[] {
    const all = [...this.#waiting];
    for (const waiter of all) this.#remove(waiter);
    return all;
  }

  #remove(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    waiter.client.cancellables.delete(waiter);
  }
}
