import type { LinkedList, Place } from './linked-list.ts';

/** What can be walked over: it knows whether it is still there. */
export interface Walkable {
  readonly removed: boolean;
}

/**
 * The queue of what an iteration has yet to return (CCAPI RPC specification 4.7): what was there at its beginning, in
 * the order of that moment, then what has been appended since; never what has been removed. The queue is not kept up to
 * date by those who change the list: it skips what is gone, and finds what is new behind what was last when it began.
 */
export class Walk<T extends Walkable> {
  readonly #births: LinkedList<T>;
  readonly #snapshot: readonly T[];
  #next: number;
  #last: Place<T>;

  private constructor(births: LinkedList<T>, snapshot: readonly T[], next: number, last: Place<T>) {
    this.#births = births;
    this.#snapshot = snapshot;
    this.#next = next;
    this.#last = last;
  }

  /** A walk over a list whose order is the order in which its members were born. */
  static inOrderOfBirth<T extends Walkable>(births: LinkedList<T>): Walk<T> {
    return new Walk(births, [], 0, births.start);
  }

  /** A walk over members in an order of their own, then over those that are born later. */
  static inOrder<T extends Walkable>(order: Iterable<T>, births: LinkedList<T>): Walk<T> {
    return new Walk(births, [...order], 0, births.last);
  }

  /** The next member, or undefined at the end; a later call may find what has been appended meanwhile. */
  next(): T | undefined {
    while (this.#next < this.#snapshot.length) {
      const member = this.#snapshot[this.#next++] as T;
      if (!member.removed) return member;
    }
    const place = this.#births.after(this.#last);
    if (place) this.#last = place;
    return place?.value;
  }

  /** Another walk over what this one has yet to return. */
  clone(): Walk<T> {
    return new Walk(this.#births, this.#snapshot, this.#next, this.#last);
  }
}
