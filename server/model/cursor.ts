import type { LinkedList, Place } from './linked-list.ts';

/** A member of a list that knows whether it was removed. */
export interface Removable {
  readonly removed: boolean;
}

/**
 * The position of an iteration (proto/CCAPI.md#iterators): it returns what was there at its beginning, in the order of that moment, then
 * what has been appended since; never what has been removed. It takes the same memory over any number of members.
 */
export interface Cursor<T extends Removable> {
  /** The next member, or undefined at the end; a later call may find what has been appended meanwhile. */
  next(): T | undefined;
  /** Another cursor over what this one has yet to return. */
  clone(): Cursor<T>;
  /** It is not used any more. */
  close(): void;
}

/** A cursor over a list that grows only at its end. */
export class ListCursor<T extends Removable> implements Cursor<T> {
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

  clone(): Cursor<T> {
    return new ListCursor(this.#births, this.#last);
  }

  close(): void {}
}
