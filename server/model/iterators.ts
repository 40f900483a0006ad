import { CCAPIError } from '../../proto/errors.ts';
import type { Identifier } from '../../proto/identifier.ts';
import type { CCache } from './ccache.ts';
import type { Collection } from './collection.ts';
import type { CredentialList, StoredCredential } from './credential-list.ts';
import type { Cursor } from './cursor.ts';

/** How many iterators a connection may have open. */
const MAX_OPEN = 10_000;

/** An iteration that a client knows by its identifier. */
interface OpenIterator {
  readonly identifier: Identifier;
  /** The iterators of the connection that made it, by the object parts of their identifiers. */
  readonly owner: Set<string>;
}

export interface CCacheIterator extends OpenIterator {
  readonly cursor: Cursor<CCache>;
}

export interface CredentialsIterator extends OpenIterator {
  readonly cursor: Cursor<StoredCredential>;
  /** What it walks over; once that is discarded the iterator is dead. */
  readonly list: CredentialList;
}

/**
 * The iterators of all connections. A client that knows an identifier may use it; each belongs to the connection that made it
 * and goes with that (proto/CCAPI.md#iterators).
 */
export class Iterators {
  readonly #collection: Collection;
  readonly #overCCaches = new Map<string, CCacheIterator>();
  readonly #overCredentials = new Map<string, CredentialsIterator>();

  constructor(collection: Collection) {
    this.#collection = collection;
  }

  /** How many iterators are open. */
  get size(): number {
    return this.#overCCaches.size + this.#overCredentials.size;
  }

  openOverCCaches(owner: Set<string>, cursor: Cursor<CCache>): CCacheIterator {
    requireRoom(owner, cursor);
    const iterator = { identifier: this.#collection.transientIdentifier(), owner, cursor };
    this.#overCCaches.set(iterator.identifier.object, iterator);
    owner.add(iterator.identifier.object);
    return iterator;
  }

  openOverCredentials(owner: Set<string>, list: CredentialList, cursor: Cursor<StoredCredential>): CredentialsIterator {
    requireRoom(owner, cursor);
    const iterator = { identifier: this.#collection.transientIdentifier(), owner, cursor, list };
    this.#overCredentials.set(iterator.identifier.object, iterator);
    owner.add(iterator.identifier.object);
    return iterator;
  }

  findCCacheIterator(object: string): CCacheIterator | undefined {
    return this.#overCCaches.get(object);
  }

  findCredentialsIterator(object: string): CredentialsIterator | undefined {
    const iterator = this.#overCredentials.get(object);
    if (!iterator?.list.discarded) return iterator;
    this.release(object);
    return undefined;
  }

  release(object: string): void {
    const iterator = this.#overCCaches.get(object) ?? this.#overCredentials.get(object);
    iterator?.owner.delete(object);
    iterator?.cursor.close();
    this.#overCCaches.delete(object);
    this.#overCredentials.delete(object);
  }
}

/** Throws 203 (`ccErrNoMem`) where a connection has too many iterators. */
function requireRoom({ size }: Set<string>, cursor: Cursor<CCache> | Cursor<StoredCredential>): void {
  if (size < MAX_OPEN) return;
  cursor.close();
  throw new CCAPIError('ccErrNoMem', `${MAX_OPEN} iterators are open on one connection`);
}
