import type { CCache } from '../model/ccache.ts';
import type { Collection } from '../model/collection.ts';

/** Names as KCM's clients use them (proto/KCM.md#names): they rewrite some, and each has to lead to the same ccache. */
export class KCMNames {
  readonly #collection: Collection;
  readonly #uid: number;
  readonly #findElsewhere: (name: string) => CCache | undefined;
  /** Begins at a random number, so that a name from before a restart does not come to mean another ccache. */
  #next = Number(process.hrtime.bigint() % 1_000_000n);

  /** `findElsewhere` makes a ccache that the collection does not have yet, where there is such. */
  constructor(
    collection: Collection,
    uid: number,
    findElsewhere: (name: string) => CCache | undefined = () => undefined,
  ) {
    this.#findElsewhere = findElsewhere;
    this.#collection = collection;
    this.#uid = uid;
  }

  /** The name of the default ccache, also where there is none yet (proto/KCM.md#the-default-ccache). It never fails. */
  get default(): string {
    return this.#collection.awaitedDefault ?? this.#collection.default?.name ?? String(this.#uid);
  }

  /** A name that is not in use and was not given out before (GEN_NEW). Nothing is made. */
  fresh(): string {
    let name: string;
    do name = `${this.#uid}:${++this.#next}`;
    while (this.#collection.findByName(name));
    return name;
  }

  /** The ccache that a name leads to, by the rule of proto/KCM.md#names: `work` and `<uid>:work` are the same. */
  resolve(given: string): CCache | undefined {
    // A login's profile puts the type before a name that has one.
    const name = given.replace(/^(?:KCM:)+/, '');
    return (
      this.#find(name) ??
      this.#findElsewhere(name.startsWith(`${this.#uid}:`) ? name.slice(`${this.#uid}:`.length) : name)
    );
  }

  #find(name: string): CCache | undefined {
    const exact = this.#collection.findByName(name);
    if (exact) return exact;
    const prefix = `${this.#uid}:`;
    const rest = name.startsWith(prefix) ? name.slice(prefix.length) : undefined;
    if (rest && !isNumeric(rest)) return this.#collection.findByName(rest);
    return isNumeric(name) ? undefined : this.#collection.findByName(prefix + name);
  }

  /** The name under which a ccache is or would be stored. */
  canonical(name: string): string {
    return this.resolve(name)?.name ?? name.replace(/^(?:KCM:)+/, '');
  }
}

/** Leading digits, then the end or a colon: a name that Heimdal leaves as it is. */
function isNumeric(name: string): boolean {
  return /^\d+(:|$)/.test(name);
}
