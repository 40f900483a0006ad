/** How many connections a launcher has, in all and with each uid; those whose uid nobody knows are taken together. */
export class Crowd {
  readonly #most: { inAll: number; perUid: number };
  readonly #present = new Map<number | undefined, number>();
  /** Who has been turned away since there was room for them. */
  readonly #told = new Set<number | undefined>();
  #inAll = 0;

  constructor(most: { inAll: number; perUid: number }) {
    this.#most = most;
  }

  /** Counts somebody in; false where they, or all together, are too many. */
  enter(uid: number | undefined): boolean {
    const present = this.#present.get(uid) ?? 0;
    if (this.#inAll >= this.#most.inAll || present >= this.#most.perUid) return false;
    this.#inAll++;
    this.#present.set(uid, present + 1);
    return true;
  }

  /** Whether that they are too many has not been said of them yet. */
  isNews(uid: number | undefined): boolean {
    if (this.#told.has(uid)) return false;
    this.#told.add(uid);
    return true;
  }

  leave(uid: number | undefined): void {
    this.#inAll--;
    this.#told.delete(uid);
    const present = (this.#present.get(uid) ?? 1) - 1;
    if (present === 0) this.#present.delete(uid);
    else this.#present.set(uid, present);
  }
}
