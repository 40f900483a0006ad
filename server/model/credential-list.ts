import type { CredentialV5 } from '../../proto/credential.ts';
import type { Identifier } from '../../proto/identifier.ts';
import { type Cursor, LinkedList, ListCursor, type Place, type Removable } from './cursor.ts';
import type { ListIdentity } from './identifiers.ts';
import { sizeOf } from './limits.ts';
import { ServiceIndex } from './service-index.ts';

/** A credential in a ccache. */
export interface StoredCredential extends Removable {
  readonly identifier: Identifier;
  readonly value: CredentialV5;
  /** Its number in the list. */
  readonly index: number;
  /** Where the storage has it. */
  fileOffset: number;
  /** The bytes that KCM and FILE have it as, where it came so or was asked for so; its value may be parts of them. */
  marshalled: Buffer | undefined;
}

/** Most are never asked for by their identifier, which is a long text; it is made when it is. */
class Entry implements StoredCredential {
  readonly #identity: ListIdentity;
  readonly index: number;
  readonly value: CredentialV5;
  fileOffset: number;
  marshalled: Buffer | undefined;
  removed = false;
  place: Place<Entry> | undefined;

  constructor(identity: ListIdentity, index: number, value: CredentialV5, kept: number, marshalled?: Buffer) {
    this.#identity = identity;
    this.index = index;
    this.value = value;
    this.fileOffset = kept;
    this.marshalled = marshalled;
  }

  get identifier(): Identifier {
    return this.#identity.credential(this.index);
  }
}

/**
 * The credentials of a ccache, in the order in which they were stored. A list goes from ccache to ccache when one is
 * moved into another, and is replaced by a new one when a ccache is reset.
 */
export class CredentialList {
  readonly identity: ListIdentity;
  readonly #births = new LinkedList<Entry>();
  readonly #byIndex = new Map<number, Entry>();
  readonly #index = new ServiceIndex<Entry>();
  /** Whether its ccache was destroyed, reset or moved over; its iterators are dead then. */
  discarded = false;

  /** How many credentials were ever in it. */
  #next = 0;
  #bytes = 0;

  constructor(identity: ListIdentity) {
    this.identity = identity;
  }

  get size(): number {
    return this.#births.size;
  }

  /** How many bytes its credentials are counted as. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The index of the next credential: one more than any that was given out. */
  get nextIndex(): number {
    return this.#next;
  }

  /** Leaves out so many indexes, as of credentials that were removed. */
  reserve(count: number): void {
    this.#next += count;
  }

  append(value: CredentialV5, kept = 0, marshalled?: Buffer): void {
    const entry = new Entry(this.identity, this.#next++, value, kept, marshalled);
    entry.place = this.#births.append(entry);
    this.#bytes += sizeOf(value);
    this.#byIndex.set(entry.index, entry);
    this.#index.add(entry);
  }

  /** The credential with this object part in its identifier. */
  find(object: string): StoredCredential | undefined {
    const index = this.identity.indexOf(object);
    return index === undefined ? undefined : this.#byIndex.get(index);
  }

  /** The credentials for a service, named without its realm, in the order in which they were stored. */
  forService(service: string): Iterable<StoredCredential> {
    return this.#index.forService(service);
  }

  /** At least the credentials of a client for a server principal, in that order, and not all for its service if these are many. */
  forPrincipals(client: string, server: string): Iterable<StoredCredential> {
    return this.#index.forPrincipals({ client, server });
  }

  /** The credentials that another replaces (STORE, proto/KCM.md#operations). */
  findReplaced(value: CredentialV5): StoredCredential[] {
    return this.#index.forPurpose(value);
  }

  /** Removes a credential that is in this list. */
  remove({ index }: StoredCredential): void {
    const entry = this.#byIndex.get(index);
    if (!entry?.place) return;
    this.#byIndex.delete(index);
    this.#index.remove(entry);
    this.#births.remove(entry.place);
    entry.removed = true;
    this.#bytes -= sizeOf(entry.value);
    wipe(entry);
  }

  /** Drops every credential and ends every iteration over them. */
  discard(): void {
    this.discarded = true;
    for (const entry of this) wipe(entry);
  }

  /** A cursor over the credentials from the first on. */
  cursor(): Cursor<StoredCredential> {
    return new ListCursor(this.#births as LinkedList<StoredCredential>);
  }

  [Symbol.iterator](): Iterator<StoredCredential> {
    return this.#births[Symbol.iterator]();
  }
}

/** Overwrites key material before its memory is released. */
function wipe({ value: { keyblock, ticket, secondTicket }, marshalled }: StoredCredential): void {
  keyblock.data.fill(0);
  ticket.data.fill(0);
  secondTicket.data.fill(0);
  marshalled?.fill(0);
}
