import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Answer, Holder, Holding } from './cancellation.ts';

interface Waiter extends Holding {
  holder: Holder;
  answer: Answer<number>;
}

/** Those who wait for a change of one object. All are woken by the next one (proto/CCAPI.md#waiting). */
export class Waiters {
  readonly #waiting = new Set<Waiter>();

  get size(): number {
    return this.#waiting.size;
  }

  /** Answers when the object changes, with its change time, or when it is gone. */
  add(holder: Holder, answer: Answer<number>): void {
    const waiter: Waiter = { holder, answer, abandon: () => this.#remove(waiter) };
    this.#waiting.add(waiter);
    holder.holdings.add(waiter);
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
    waiter.holder.holdings.delete(waiter);
  }
}
