import { CCAPIError } from '../proto/error.ts';
import type { Identifier } from '../proto/identifier.ts';

/** What an iteration asks of its server. */
export interface IterationCalls<T> {
  next(iterator: Identifier): Promise<T>;
  clone(iterator: Identifier): Promise<Identifier>;
  release(iterator: Identifier): Promise<unknown>;
}

/** How many elements are asked for ahead of the one that is wanted, at the most. */
const MOST_AHEAD = 128;

/**
 * An iteration over what a server holds. Elements are asked for ahead of their use, twice as far with each step, so that
 * a long iteration waits for the server only at its beginning. What is asked for ahead stays in its order: nothing is
 * lost when the end is reached and more is appended later, or when the iteration is cloned.
 */
export class RemoteIterator<T> implements AsyncIterableIterator<T, undefined> {
  readonly #calls: IterationCalls<T>;
  readonly #identifier: Identifier | undefined;
  #ahead: Promise<T>[];
  #window = 1;
  #released = false;

  /** Without an identifier it is the iteration over a collection that no server holds: empty for ever. */
  constructor(calls: IterationCalls<T>, identifier: Identifier | undefined, ahead: readonly Promise<T>[] = []) {
    this.#calls = calls;
    this.#identifier = identifier;
    this.#ahead = [...ahead];
  }

  /** The next element, or `done` at the end. Throws the server's error, such as 209 for an iterator that is gone. */
  async next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#identifier || this.#released) return { done: true, value: undefined };
    while (this.#ahead.length < this.#window) this.#ahead.push(settledLater(this.#calls.next(this.#identifier)));
    this.#window = Math.min(this.#window * 2, MOST_AHEAD);
    try {
      return { done: false, value: await (this.#ahead.shift() as Promise<T>) };
    } catch (error) {
      if (!CCAPIError.is(error, 'ccIteratorEnd')) throw error;
      // Asked for behind the end, so most likely the end again: no more of that than a caller asks for.
      this.#window = 1;
      return { done: true, value: undefined };
    }
  }

  /** Another iteration over what this one has yet to return. */
  async clone(): Promise<RemoteIterator<T>> {
    const ahead = [...this.#ahead];
    const identifier = this.#identifier && (await this.#calls.clone(this.#identifier));
    return new RemoteIterator(this.#calls, identifier, ahead);
  }

  /** Lets the server forget the iterator. Never fails: whatever went wrong, it is gone. */
  async release(): Promise<void> {
    if (this.#released || !this.#identifier) return;
    this.#released = true;
    this.#ahead = [];
    await this.#calls.release(this.#identifier).catch(() => {});
  }

  async return(): Promise<IteratorResult<T, undefined>> {
    await this.release();
    return { done: true, value: undefined };
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.release();
  }
}

/** Every element, the iterator released whether or not all were taken. */
export async function* each<T>(iterator: Promise<RemoteIterator<T>>): AsyncGenerator<T, void, undefined> {
  const opened = await iterator;
  try {
    yield* opened;
  } finally {
    await opened.release();
  }
}

/** An element that is asked for ahead may fail before anybody waits for it, or when nobody ever does. */
function settledLater<T>(element: Promise<T>): Promise<T> {
  element.catch(() => {});
  return element;
}
