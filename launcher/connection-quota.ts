/** Who a connection counts for: a uid, or all those together of which the passwd database, or the kernel, knows nothing. */
export type QuotaKey = number | 'unknown uid' | 'unidentified';

/** A connection as the quota needs it. */
interface Countable {
  destroy(): void;
}

/** The connections of one key; of `silent` ones, which have sent nothing yet or were answered, the oldest is the first. */
interface Share {
  count: number;
  silent: Set<Countable>;
}

/**
 * How many connections a launcher has, in all and for each key. One that is not being served makes room for a new one,
 * before any is refused: at the limit of a key its own oldest, at the limit for all the oldest of the key that has the most.
 */
export class ConnectionQuota {
  most: { inAll: number; perUid: number };
  readonly #shares = new Map<QuotaKey, Share>();
  readonly #keys = new Map<Countable, QuotaKey>();

  constructor(most: { inAll: number; perUid: number }) {
    this.most = most;
  }

  /** Counts a connection, which is silent at first; false where there is no room for it. */
  acquire(connection: Countable, key: QuotaKey): boolean {
    const share = this.#shares.get(key);
    if (share && share.count >= this.most.perUid && !this.#evict(share)) return false;
    if (this.#keys.size >= this.most.inAll && !this.#evict(this.#mostSilent())) return false;
    const own = this.#shares.get(key) ?? { count: 0, silent: new Set() };
    own.count++;
    own.silent.add(connection);
    this.#shares.set(key, own);
    this.#keys.set(connection, key);
    return true;
  }

  /** The connection has sent something, and is not ended for others' sake any more. */
  noteInput(connection: Countable): void {
    const key = this.#keys.get(connection);
    if (key !== undefined) this.#shares.get(key)?.silent.delete(connection);
  }

  /** The connection is done with but for its end, and may make room again. */
  noteAnswer(connection: Countable): void {
    const key = this.#keys.get(connection);
    if (key !== undefined) this.#shares.get(key)?.silent.add(connection);
  }

  release(connection: Countable): void {
    const key = this.#keys.get(connection);
    const share = key === undefined ? undefined : this.#shares.get(key);
    if (key === undefined || !share) return;
    this.#keys.delete(connection);
    share.silent.delete(connection);
    if (--share.count === 0) this.#shares.delete(key);
  }

  #mostSilent(): Share | undefined {
    let most: Share | undefined;
    for (const share of this.#shares.values()) if (share.silent.size > (most?.silent.size ?? 0)) most = share;
    return most;
  }

  #evict(share: Share | undefined): boolean {
    const [oldest] = share?.silent ?? [];
    if (!oldest) return false;
    this.release(oldest);
    oldest.destroy();
    return true;
  }
}
