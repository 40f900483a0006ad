import type { LinkedList, Place } from './linked-list.ts';

/** What can be walked over: it knows whether it is still there. */
export interface Walkable {
  readonly removed: boolean;
}

/**
 * An iteration (proto/CCAPI.md#iterators): it returns what was there at its beginning, in the order of that moment, then
 * what has been appended since; never what has been removed. It takes the same memory over any number of members.
 */
export interface Walk<T extends Walkable> {
  /** The next member, or undefined at the end; a later call may find what has been appended meanwhile. */
  next(): T | undefined;
  /** Another walk over what this one has yet to return. */
  clone(): Walk<T>;
  /** It is not used any more. */
  close(): void;
}

/** A walk over a list whose order is the order in which its members were born. */
export class BirthWalk<T extends Walkable> implements Walk<T> {
  readonly #births: LinkedList<T>;
  #last: Place<T>;

  constructor(births: LinkedList<T>, last = births.start) {
    this.#births = births;
    this.#last = last;
  }

  next(): T | undefined {
    const place = this.#births.after(this.#last);
    if (place) this.#last = place;
    return place?.value;
  }

  clone(): Walk<T> {
    return new BirthWalk(this.#births, this.#last);
  }

  close(): void {}
}
