import type { CredentialV5 } from '../proto/credential-v5.ts';
import type { Identifier } from '../proto/identifier.ts';
import { LinkedList, type Place } from './linked-list.ts';
import { Walk, type Walkable } from './walk.ts';

/** A credential in a ccache. */
export interface StoredCredential extends Walkable {
  readonly identifier: Identifier;
  readonly value: CredentialV5;
}

interface Entry extends StoredCredential {
  removed: boolean;
  place: Place<Entry>;
}

/**
 * The credentials of a ccache, in the order in which they were stored. A list goes from ccache to ccache when one is
 * moved into another, and is replaced by a new one when a ccache is reset.
 */
export class CredentialList {
  readonly #births = new LinkedList<Entry>();
  readonly #byObject = new Map<string, Entry>();
  /** Whether its ccache was destroyed, reset or moved over; its iterators are dead then. */
  discarded = false;

  get size(): number {
    return this.#births.size;
  }

  append(identifier: Identifier, value: CredentialV5): void {
    const entry = { identifier, value, removed: false } as Entry;
    entry.place = this.#births.append(entry);
    this.#byObject.set(identifier.object, entry);
  }

  /** Removes the credential with this identifier; false if it is not here. */
  remove(identifier: Identifier): boolean {
    const entry = this.#byObject.get(identifier.object);
    if (!entry || entry.identifier.server !== identifier.server) return false;
    this.#byObject.delete(identifier.object);
    this.#births.remove(entry.place);
    entry.removed = true;
    wipe(entry.value);
    return true;
  }

  /** Drops every credential and ends every iteration over them. */
  discard(): void {
    this.discarded = true;
    for (const { value } of this) wipe(value);
  }

  /** A walk over the credentials from the first on. */
  walk(): Walk<StoredCredential> {
    return Walk.inOrderOfBirth<StoredCredential>(this.#births as LinkedList<StoredCredential>);
  }

  [Symbol.iterator](): Iterator<StoredCredential> {
    return this.#births[Symbol.iterator]();
  }
}

/** Key material does not stay behind in memory that nobody owns. */
function wipe({ keyblock, ticket, secondTicket }: CredentialV5): void {
  keyblock.data.fill(0);
  ticket.data.fill(0);
  secondTicket.data.fill(0);
}
