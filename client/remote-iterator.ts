import { CCAPIError } from '../proto/errors.ts';
import type { Identified, Identifier } from '../proto/identifier.ts';

/** What an iteration asks of its server. */
interface IterationCalls<T extends Identified> {
  /** Begins it; the first time, and again where the server has gone and with it the iterator. */
  open(): Promise<Identifier | undefined>;
  /** Tells connections apart; an iterator does not outlive the one on which it was made. */
  generation(): number;
  next(iterator: Identifier): Promise<T>;
  /** Whether the caller has asked for such an element; all are, where it is left out. */
  isWanted?(element: T): boolean;
  clone(iterator: Identifier): Promise<Identifier>;
  release(iterator: Identifier): Promise<unknown>;
}

/** How many elements are asked for ahead of the one that is wanted, at the most, and how fast it comes to that. */
const MOST_AHEAD = 128;
const GROWTH = 8;

/** What a server says of an iterator that it does not know, the last one of ccaches' (proto/CCAPI.md#identifiers). */
const unknown = ['ccErrInvalidCredentialsIterator', 'ccErrInvalidCCacheIterator', 'ccErrInvalidCCache'] as const;

/**
 * An iteration over what a server holds. Elements are asked for ahead of their use, farther with each step, so that
 * a long iteration waits for the server only at its beginning. What is asked for ahead stays in its order: nothing is
 * lost when the end is reached and more is appended later, or when the iteration is cloned. Where the server is replaced
 * by another that goes on with the same collection, the iteration goes on too: with what it has not returned yet.
 */
export class RemoteIterator<T extends Identified> implements AsyncIterableIterator<T, undefined> {
  readonly #calls: IterationCalls<T>;
  #identifier: Identifier | undefined;
  #generation: number;
  readonly #returned: Set<string>;
  #ahead: Promise<T>[];
  #window = 1;
  #released = false;

  private constructor(calls: IterationCalls<T>, from: { identifier: Identifier | undefined; generation: number }) {
    this.#calls = calls;
    this.#identifier = from.identifier;
    this.#generation = from.generation;
    this.#returned = new Set();
    this.#ahead = [];
  }

  /** Begins an iteration; over a collection that no server holds it is empty for ever. */
  static async open<T extends Identified>(calls: IterationCalls<T>): Promise<RemoteIterator<T>> {
    const identifier = await calls.open();
    return new RemoteIterator(calls, { identifier, generation: calls.generation() });
  }

  /** The next element, or `done` at the end. Throws the server's error, such as 209 for an iterator that is gone. */
  async next(): Promise<IteratorResult<T, undefined>> {
    for (;;) {
      if (!this.#identifier || this.#released) return { done: true, value: undefined };
      while (this.#ahead.length < this.#window) this.#ahead.push(ignoreRejection(this.#calls.next(this.#identifier)));
      this.#window = Math.min(this.#window * GROWTH, MOST_AHEAD);
      try {
        const value = await (this.#ahead.shift() as Promise<T>);
        if (this.#isNew(value) && (this.#calls.isWanted?.(value) ?? true)) return { done: false, value };
      } catch (error) {
        if (CCAPIError.is(error, 'ccIteratorEnd')) {
          // Asked for behind the end, so most likely the end again: no more of that than a caller asks for.
          this.#window = 1;
          return { done: true, value: undefined };
        }
        if (!unknown.some((name) => CCAPIError.is(error, name)) || !(await this.#reopen())) throw error;
      }
    }
  }

  /** Another iteration over what this one has yet to return. */
  async clone(): Promise<RemoteIterator<T>> {
    const ahead = [...this.#ahead];
    const generation = this.#calls.generation();
    const identifier = this.#identifier && (await this.#calls.clone(this.#identifier));
    const clone = new RemoteIterator(this.#calls, { identifier, generation });
    clone.#ahead = ahead;
    for (const object of this.#returned) clone.#returned.add(object);
    return clone;
  }

  /** Lets the server forget the iterator. Never fails. */
  async release(): Promise<void> {
    if (this.#released || !this.#identifier) return;
    this.#released = true;
    this.#ahead = [];
    await this.#calls.release(this.#identifier).catch(() => {});
  }

  /** Whether it was not returned before the iteration had to begin anew. */
  #isNew({ identifier: { object } }: T): boolean {
    const known = this.#returned.has(object);
    this.#returned.add(object);
    return !known;
  }

  /** Begins anew if the iterator went with its connection; what was asked for ahead is asked for again. */
  async #reopen(): Promise<boolean> {
    if (this.#calls.generation() === this.#generation) return false;
    try {
      const identifier = await this.#calls.open();
      // Another server has another collection, of which this never was an iteration.
      if (identifier?.server !== this.#identifier?.server) return false;
      this.#identifier = identifier;
    } catch {
      // There is nothing left to iterate over; that the iterator is gone says as much.
      return false;
    }
    this.#generation = this.#calls.generation();
    this.#ahead = [];
    return true;
  }

  /** Ends the iteration, as a `for await` that is left early does. */
  async return(): Promise<IteratorResult<T, undefined>> {
    await this.release();
    return { done: true, value: undefined };
  }

  /** Itself, for `for await`. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** The same as {@link release}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Every element, the iterator released whether or not all were taken. */
export async function* each<T extends Identified>(
  iterator: Promise<RemoteIterator<T>>,
): AsyncGenerator<T, void, undefined> {
  const opened = await iterator;
  try {
    yield* opened;
  } finally {
    await opened.release();
  }
}

/** An element that is asked for ahead may fail before the caller waits for it, or without one that ever does. */
function ignoreRejection<T>(element: Promise<T>): Promise<T> {
  element.catch(() => {});
  return element;
}
