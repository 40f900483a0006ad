import { type CredentialV5, requireV5 } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import { findExpired } from '../../proto/expiry.ts';
import type { Identifier } from '../../proto/identifier.ts';
import { isStaging } from '../../proto/staging.ts';
import { CCache, type Contents, emptyContents } from './ccache.ts';
import { CCacheOrder } from './ccache-order.ts';
import { bumped, type Clock } from './change-time.ts';
import type { CredentialList, StoredCredential } from './credential-list.ts';
import type { Cursor } from './cursor.ts';
import type { IdentifierSource } from './identifiers.ts';
import { type Amounts, amountsOf, Limits, requireName, requirePrincipal, sizeOf } from './limits.ts';
import { LockState } from './locks.ts';
import { noStorage, type Storage } from './storage.ts';
import { Waiters } from './waiters.ts';

/** The name of the first ccache, as MIT has it. */
export const DEFAULT_NAME = 'Initial default ccache';

/** What a storage has of a collection: its ccaches, the default one first. */
export interface StoredCollection {
  ccaches: CCache[];
  changed: number;
  nextUnique: number;
  awaitedDefault: string | undefined;
}

/** What is about to be changed: it has to be there still when room has been made for the change. */
interface Subject {
  ccache: CCache;
  credentials: Iterable<StoredCredential>;
}

/**
 * All ccaches of a user: an ordered list, of which the first is the default. It knows nothing of bytes, sockets or
 * clients. Each operation is one step: it is kept first, then it happens wholly; or it throws and changes nothing. How
 * often an operation bumps the change times is part of the contract (proto/CCAPI.md#change-times), so the calls below
 * are as many as they are.
 */
export class Collection {
  readonly identifier: Identifier;
  readonly #identifiers: IdentifierSource;
  readonly #now: Clock;
  readonly #order = new CCacheOrder();
  readonly #byName = new Map<string, CCache>();
  readonly #byObject = new Map<string, CCache>();
  readonly lock = new LockState({
    locked: 'ccErrContextLocked',
    unlocked: 'ccErrContextUnlocked',
    gone: 'ccErrInvalidContext',
  });
  readonly waiters = new Waiters();
  #changed = 0;
  /** What it holds, and may hold. */
  readonly limits = new Limits();
  #purged = 0;
  #nextUnique = 0;
  #awaitedDefault: string | undefined;
  #storage: Storage = noStorage;

  constructor(identifiers: IdentifierSource, now: Clock) {
    this.#identifiers = identifiers;
    this.#now = now;
    this.identifier = identifiers.collection();
    this.#collectionChanged();
  }

  /** Goes on where another collection left off, of which this is what was kept; from here on `storage` keeps it. */
  resume(storage: Storage, kept: StoredCollection): void {
    for (const ccache of kept.ccaches) this.#add(ccache);
    this.#changed = kept.changed;
    this.#nextUnique = kept.nextUnique;
    this.#awaitedDefault = kept.awaitedDefault;
    this.#storage = storage;
  }

  /** When the collection last changed. */
  get changed(): number {
    return this.#changed;
  }

  get default(): CCache | undefined {
    return this.#order.first;
  }

  get size(): number {
    return this.#byName.size;
  }

  [Symbol.iterator](): Iterator<CCache> {
    return this.#order[Symbol.iterator]();
  }

  findByName(name: string): CCache | undefined {
    return this.#byName.get(name);
  }

  find({ server, object }: Identifier): CCache | undefined {
    return server === this.identifier.server ? this.#byObject.get(object) : undefined;
  }

  /** An identifier for something of this collection that does not outlive the process, such as an iterator. */
  transientIdentifier(): Identifier {
    return this.#identifiers.transient();
  }

  /** How many names of their own have been given out. */
  get nextUnique(): number {
    return this.#nextUnique;
  }

  cursor(): Cursor<CCache> {
    return this.#order.cursor();
  }

  /** Contents without a credential, for a ccache of this collection. */
  emptyContents(principal: string): Contents {
    return emptyContents(this.#identifiers.list(), principal);
  }

  /** Makes a ccache, or resets the one that has this name. */
  create(name: string, version: number, principal: string): CCache {
    requireV5(version);
    return this.replace(name, this.emptyContents(principal));
  }

  /** Makes the default ccache, or resets it under whatever name it has. */
  createDefault(version: number, principal: string): CCache {
    return this.create(this.default?.name ?? DEFAULT_NAME, version, principal);
  }

  /** Makes a ccache under a name of its own: the first one's is fixed, later ones are counted, also those not made. */
  createNew(version: number, principal: string): CCache {
    return this.create(this.#hasFinished() ? this.#uniqueName() : DEFAULT_NAME, version, principal);
  }

  /** Gives a ccache new contents in one step, or makes it with them. It keeps its identifier and its place. */
  replace(name: string, contents: Contents): CCache {
    requirePrincipal(contents.principal);
    for (const { value } of contents.credentials) requirePrincipals(value);
    const existing = this.#byName.get(name);
    const ccache = existing ? this.#replace(existing, contents) : this.#make(name, contents);
    this.#collectionChanged();
    return ccache;
  }

  destroy(ccache: CCache): void {
    this.#storage.destroy(ccache);
    this.#ccacheChanged(ccache);
    this.#drop(ccache);
    this.#collectionChanged();
  }

  /** What is to become the default once there is a ccache of that name. */
  get awaitedDefault(): string | undefined {
    return this.#awaitedDefault;
  }

  /** Makes the ccache of this name the default, or has it become so when it is made; undefined awaits none any more. */
  awaitDefault(name: string | undefined): void {
    const ccache = name === undefined ? undefined : this.#byName.get(name);
    if (ccache) {
      this.setDefault(ccache);
      return;
    }
    if (name !== undefined) requireName(name);
    this.#storage.setAwaitedDefault(name);
    this.#awaitedDefault = name;
  }

  setDefault(ccache: CCache): void {
    const at = bumped(ccache.lastDefault, this.#now());
    if (ccache !== this.default || this.#awaitedDefault !== undefined) this.#storage.makeDefault(ccache, at);
    this.#makeDefault(ccache, at);
  }

  /** Moves the contents of one ccache into another, drops the latter's own, and destroys the empty first. */
  move(source: CCache, destination: CCache): void {
    if (source === destination) throw new CCAPIError('ccErrBadParam', 'a ccache cannot be moved onto itself');
    this.#storage.move(source, destination, { isNew: false });
    this.#moveContents(source, destination);
  }

  /**
   * Moves the contents of a ccache under a name, in one step with the making of a ccache of that name where there is none;
   * where the ccache was the default, that becomes so. Nothing happens where it has the name already.
   */
  moveTo(source: CCache, name: string): void {
    const existing = this.#byName.get(name);
    if (existing === source) return;
    const now = this.#now();
    const destination =
      existing ?? new CCache(this.#identifiers.ccache(), requireName(name), this.emptyContents(''), now, 0);
    const becomesDefault = source === this.default || (!existing && name === this.#awaitedDefault);
    const at = becomesDefault ? bumped(destination.lastDefault, now) : undefined;
    this.#storage.move(source, destination, { isNew: !existing, at });
    if (!existing) this.#add(destination);
    this.#moveContents(source, destination);
    if (at === undefined) return;
    if (this.default === destination) destination.lastDefault = at;
    this.#makeDefault(destination, at);
  }

  setPrincipal(ccache: CCache, version: number, principal: string): void {
    requireV5(version);
    requirePrincipal(principal);
    this.#storage.setPrincipal(ccache, principal);
    ccache.setPrincipal(principal);
    this.#ccacheChanged(ccache);
  }

  /** Appends a credential, in one step with the removal of those that it replaces; `marshalled` is what it came as. */
  store(ccache: CCache, value: CredentialV5, replaced: readonly StoredCredential[] = [], marshalled?: Buffer): void {
    requirePrincipals(value);
    const bytes = replaced.reduce((more, old) => more - sizeOf(old.value), sizeOf(value));
    this.#makeRoom({ credentials: 1 - replaced.length, bytes }, { ccache, credentials: replaced });
    const kept = this.#storage.store(ccache, { value, marshalled }, replaced);
    this.#change(ccache.contents.credentials, (list) => {
      for (const old of replaced) list.remove(old);
      list.append(value, kept, marshalled);
    });
    this.#ccacheChanged(ccache);
  }

  /** Removes credentials in one step; throws 207 where one of them is not in this ccache. */
  remove(ccache: CCache, identifiers: readonly Identifier[]): void {
    this.#remove(
      ccache,
      identifiers.map((identifier) => ccache.credential(identifier)),
    );
  }

  /** Sets the KDC offset, or with undefined forgets it. */
  setKDCOffset(ccache: CCache, offset: number | undefined): void {
    this.#storage.setOffset(ccache, offset);
    ccache.contents.kdcOffset = offset;
    this.#ccacheChanged(ccache);
  }

  /**
   * Removes the credentials with an end time before `time`, in seconds since 1970, and the ccaches that would keep nothing
   * but libkrb5's configuration entries. Credentials without an end time stay.
   */
  purge(time: number): void {
    this.#purge(time);
  }

  /** The server ends in order: clients that wait are answered that the object is gone (proto/CCAPI.md#waiting). */
  shutDown(): void {
    this.lock.discard();
    for (const ccache of this) {
      ccache.lock.discard();
      ccache.waiters.discard('ccErrInvalidCCache');
    }
    this.waiters.discard('ccErrInvalidContext');
  }

  #purge(time: number, subject?: Subject): void {
    const staying = new Set(subject?.credentials);
    for (const ccache of [...this]) {
      const { credentials, isAll } = findExpired([...ccache.contents.credentials], ({ value }) => value, time);
      const expired = credentials.filter((credential) => !staying.has(credential));
      if (expired.length === 0) continue;
      if (isAll && ccache !== subject?.ccache) this.destroy(ccache);
      else this.#remove(ccache, expired);
    }
  }

  /** Purges expired credentials before refusing. Throws 203 (`ccErrNoMem`) where that does not make room. */
  #makeRoom(more: Partial<Amounts>, subject?: Subject): void {
    if (this.limits.hasRoomFor(more)) return;
    // Nothing more has expired within the same second, and looking takes a while where there is much.
    if (this.#purged !== this.#now()) this.#purge(this.#now(), subject);
    this.#purged = this.#now();
    this.limits.require(more);
  }

  #moveContents(source: CCache, destination: CCache): void {
    this.limits.release(destination.contents.credentials);
    destination.replaceContents(source.contents);
    source.contents = this.emptyContents('');
    destination.changed = Math.max(source.changed, destination.changed);
    this.#ccacheChanged(source);
    this.#ccacheChanged(destination);
    this.#ccacheChanged(source);
    this.#drop(source);
    this.#ccacheChanged(destination);
  }

  #remove(ccache: CCache, credentials: readonly StoredCredential[]): void {
    this.#storage.remove(ccache, credentials);
    this.#change(ccache.contents.credentials, (list) => {
      for (const credential of credentials) list.remove(credential);
    });
    this.#ccacheChanged(ccache);
  }

  #change(list: CredentialList, change: (list: CredentialList) => void): void {
    this.limits.release(list);
    change(list);
    this.limits.add(list);
  }

  #make(name: string, contents: Contents): CCache {
    requireName(name);
    this.#makeRoom({ caches: 1, ...amountsOf(contents.credentials) });
    const now = this.#now();
    const awaited = name === this.#awaitedDefault;
    const lastDefault = this.size === 0 ? now : 0;
    const identifier = this.#identifiers.ccache();
    this.#storage.create({ identifier, name, contents, lastDefault: awaited ? now : lastDefault, first: awaited });
    const ccache = new CCache(identifier, name, contents, now, lastDefault);
    this.#add(ccache);
    if (awaited) this.#makeDefault(ccache, now);
    return ccache;
  }

  #add(ccache: CCache): void {
    this.limits.add(ccache.contents.credentials, 1);
    this.#order.append(ccache);
    this.#byName.set(ccache.name, ccache);
    this.#byObject.set(ccache.identifier.object, ccache);
  }

  #replace(ccache: CCache, contents: Contents): CCache {
    const [old, come] = [ccache.contents.credentials, contents.credentials];
    const more = { credentials: come.size - old.size, bytes: come.bytes - old.bytes };
    this.#makeRoom(more, { ccache, credentials: old });
    this.#storage.replace(ccache, contents);
    this.limits.release(old);
    this.limits.add(come);
    ccache.replaceContents(contents);
    this.#ccacheChanged(ccache);
    return ccache;
  }

  #makeDefault(ccache: CCache, at: number): void {
    this.#awaitedDefault = undefined;
    const old = this.default;
    if (!old || old === ccache || ccache.removed) return;
    this.#order.moveToFront(ccache);
    this.#ccacheChanged(old);
    ccache.lastDefault = at;
    this.#ccacheChanged(ccache);
    this.#collectionChanged();
  }

  #drop(ccache: CCache): void {
    if (ccache.removed) return;
    this.limits.release(ccache.contents.credentials, 1);
    this.#order.remove(ccache);
    ccache.removed = true;
    ccache.contents.credentials.discard();
    ccache.lock.discard();
    this.#byName.delete(ccache.name);
    this.#byObject.delete(ccache.identifier.object);
  }

  #hasFinished(): boolean {
    for (const { name } of this) if (!isStaging(name)) return true;
    return false;
  }

  #uniqueName(): string {
    let name: string;
    do name = String(this.#nextUnique++);
    while (this.#byName.has(name));
    return name;
  }

  #ccacheChanged(ccache: CCache): void {
    ccache.bump(this.#now());
    this.#collectionChanged();
    ccache.waiters.wake(ccache.changed);
  }

  #collectionChanged(): void {
    this.#changed = bumped(this.#changed, this.#now());
    this.#storage.noteChange();
    this.waiters.wake(this.#changed);
  }
}

function requirePrincipals({ client, server }: CredentialV5): void {
  requirePrincipal(client);
  requirePrincipal(server);
}
