/** A place in a {@link LinkedList}. It stays good for walking on from, also after its value was removed. */
export interface Place<T> {
  readonly value: T;
  readonly removed: boolean;
}

interface Node<T> extends Place<T> {
  removed: boolean;
  /** The node before; the list's own sentinel before the first. Kept when removed: it leads back into the list. */
  previous: Node<T>;
  /** The node after; the sentinel after the last. */
  next: Node<T>;
}

/** A list in which appending, removing, moving to the front and walking on from any place cost the same at any size. */
export class LinkedList<T> {
  readonly #sentinel: Node<T>;
  #size = 0;

  constructor() {
    const sentinel = { value: undefined as T, removed: false } as Node<T>;
    sentinel.previous = sentinel;
    sentinel.next = sentinel;
    this.#sentinel = sentinel;
  }

  get size(): number {
    return this.#size;
  }

  /** The place before the first value: walking on from it gives the first. */
  get start(): Place<T> {
    return this.#sentinel;
  }

  append(value: T): Place<T> {
    return this.#insertAfter(this.#sentinel.previous, value);
  }

  prepend(value: T): Place<T> {
    return this.#insertAfter(this.#sentinel, value);
  }

  remove(place: Place<T>): void {
    const node = place as Node<T>;
    node.previous.next = node.next;
    node.next.previous = node.previous;
    node.removed = true;
    this.#size--;
  }

  /**
   * The place after `place`, or undefined at the end. From a removed place it is what follows the nearest place before
   * it that is left; in a list that only ever grows at its end that is exactly what has not been walked over yet.
   */
  after(place: Place<T>): Place<T> | undefined {
    let node = place as Node<T>;
    while (node.removed) node = node.previous;
    return node.next === this.#sentinel ? undefined : node.next;
  }

  *[Symbol.iterator](): Iterator<T> {
    for (let node = this.#sentinel.next; node !== this.#sentinel; node = node.next) yield node.value;
  }

  #insertAfter(previous: Node<T>, value: T): Place<T> {
    const node: Node<T> = { value, removed: false, previous, next: previous.next };
    previous.next.previous = node;
    previous.next = node;
    this.#size++;
    return node;
  }
}

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
