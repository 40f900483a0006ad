import type { CCache } from './ccache.ts';
import type { Cursor } from './cursor.ts';
import { LinkedList, type Place } from './cursor.ts';

/**
 * A place of a ccache in the order, and when it had that: from one moment on, until it became the default later. Moments
 * are counted.
 */
interface Stay {
  readonly ccache: CCache;
  /** Whether it was born to this place, at the end; else it came to it by becoming the default, at the beginning. */
  readonly isBirth: boolean;
  readonly from: number;
  until: number;
}

/**
 * The order of the ccaches, now and at every moment at which an iteration over them began (proto/CCAPI.md#iterators), in memory
 * that depends on the number of changes and not on the number of iterations: a ccache that becomes the default leaves its
 * former place behind for as long as there is an iteration that has to find it there.
 */
export class CCacheOrder {
  readonly #stays = new LinkedList<Stay>();
  readonly #current = new Map<CCache, Place<Stay>>();
  readonly #past = new Set<Place<Stay>>();
  readonly #cursors = new Set<CCacheCursor>();
  readonly #few: number;
  #moment = 0;
  #enough = 0;

  /** So many places of the past are kept before it is looked whether any of them is of use. */
  constructor(few = 64) {
    this.#few = few;
  }

  /** How many places are kept, for tests. */
  get size(): number {
    return this.#current.size + this.#past.size;
  }

  /** The ccache at the beginning; undefined where there is none. */
  get first(): CCache | undefined {
    return this.#firstPlace?.value.ccache;
  }

  get #firstPlace(): Place<Stay> | undefined {
    return this.#stays.after(this.#stays.start);
  }

  /** The ccaches in the order of this moment. */
  *[Symbol.iterator](): Iterator<CCache> {
    for (const stay of this.#stays) if (!isPast(stay)) yield stay.ccache;
  }

  append(ccache: CCache): void {
    const stay = { ccache, isBirth: true, from: ++this.#moment, until: Infinity };
    this.#current.set(ccache, this.#stays.append(stay));
  }

  moveToFront(ccache: CCache): void {
    const former = this.#current.get(ccache);
    if (!former) return;
    former.value.until = ++this.#moment;
    this.#current.set(ccache, this.#stays.prepend({ ccache, isBirth: false, from: this.#moment, until: Infinity }));
    this.#leaveBehind(former);
  }

  remove(ccache: CCache): void {
    const place = this.#current.get(ccache);
    if (place) this.#stays.remove(place);
    this.#current.delete(ccache);
    // The current place of a ccache is before all its past ones: one of the past is the first only where its ccache is gone.
    for (let first = this.#firstPlace; first && isPast(first.value); first = this.#firstPlace) {
      this.#stays.remove(first);
      this.#past.delete(first);
    }
  }

  /** A cursor over the ccaches in the order of this moment, and then over those that are created later. */
  cursor(): Cursor<CCache> {
    return this.open(this.#moment, this.#stays.start);
  }

  /** A cursor of an iteration that began at a moment and has come to a place. */
  open(began: number, last: Place<Stay>): CCacheCursor {
    const cursor = new CCacheCursor(this, began, last);
    this.#cursors.add(cursor);
    return cursor;
  }

  /** The next place at which an iteration that began at a moment has to find a ccache. */
  next(began: number, last: Place<Stay>): Place<Stay> | undefined {
    let place = this.#stays.after(last);
    while (place && !isSeen(place.value, began)) place = this.#stays.after(place);
    return place;
  }

  close(cursor: CCacheCursor): void {
    this.#cursors.delete(cursor);
    if (this.#cursors.size === 0) this.#forget();
  }

  #leaveBehind(place: Place<Stay>): void {
    this.#past.add(place);
    if (this.#cursors.size === 0 || this.#past.size > this.#enough) this.#forget();
  }

  /** Forgets the places at which no open iteration has to find a ccache any more. */
  #forget(): void {
    const began = [...this.#cursors].map((cursor) => cursor.began).sort((a, b) => a - b);
    for (const place of this.#past) {
      const { ccache, isBirth, from, until } = place.value;
      const first = began[0] ?? Infinity;
      const isOfUse = (isBirth && first < from) || isAnyBetween(began, from, until);
      if (isOfUse && !ccache.removed) continue;
      this.#stays.remove(place);
      this.#past.delete(place);
    }
    this.#enough = 2 * this.#past.size + this.#few;
  }
}

/** The position of one iteration: a moment and a place. */
class CCacheCursor implements Cursor<CCache> {
  readonly #order: CCacheOrder;
  readonly began: number;
  #last: Place<Stay>;

  constructor(order: CCacheOrder, began: number, last: Place<Stay>) {
    this.#order = order;
    this.began = began;
    this.#last = last;
  }

  next(): CCache | undefined {
    const place = this.#order.next(this.began, this.#last);
    if (place) this.#last = place;
    return place?.value.ccache;
  }

  clone(): Cursor<CCache> {
    return this.#order.open(this.began, this.#last);
  }

  close(): void {
    this.#order.close(this);
  }
}

function isPast({ until }: Stay): boolean {
  return until !== Infinity;
}

/** What is born later is found where it was born, whatever became of it since. */
function isSeen({ ccache, isBirth, from, until }: Stay, began: number): boolean {
  if (ccache.removed) return false;
  return from > began ? isBirth : began < until;
}

/** Whether one of these numbers, in their order, is at least `from` and below `until`. */
function isAnyBetween(numbers: readonly number[], from: number, until: number): boolean {
  let [low, high] = [0, numbers.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((numbers[middle] as number) < from) low = middle + 1;
    else high = middle;
  }
  return (numbers[low] ?? Infinity) < until;
}
