import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Answer, Cancellable, Client } from './cancellation.ts';

interface Waiter extends Cancellable {
  client: Client;
  answer: Answer<number>;
}

/** The clients that wait for a change of one object; the next change answers all of them (proto/CCAPI.md#waiting). */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Answers when the object changes, with its change time, or when it is gone. */
  add(client: Client, answer: Answer<number>): void {
    const waiter: Waiter = { client, answer, cancel: () => this.#remove(waiter) };
    this.#waiting.add(waiter);
    client.cancellables.add(waiter);
  }

  /** The object changed. */
  wake(changed: number): void {
    this.#answerAll({ result: changed });
  }

  /** The object is gone. */
  discard(name: ErrorName): void {
    this.#answerAll({ error: new CCAPIError(name) });
  }

  #answerAll(outcome: Parameters<Answer<number>>[0]): void {
    for (const waiter of [...this.#waiting]) {
      this.#remove(waiter);
      waiter.answer(outcome);
    }
  }

  #remove(waiter: Waiter): void {
    this.#waiting.delete(waiter);
    waiter.client.cancellables.delete(waiter);
  }
}
