import { type CredentialV5, requireV5 } from '../proto/credential-v5.ts';
import { CCAPIError } from '../proto/error.ts';
import type { Identifier } from '../proto/identifier.ts';
import { CCache, type Contents, emptyContents } from './ccache.ts';
import { bumped, type Clock } from './change-time.ts';
import { freshIdentifier, type IdentifierSource } from './identifiers.ts';
import { LinkedList } from './linked-list.ts';
import { LockState } from './lock-state.ts';
import { Waiters } from './waiters.ts';
import { Walk } from './walk.ts';

/** The name of the first ccache, as MIT has it. */
export const DEFAULT_NAME = 'Initial default ccache';

/**
 * All ccaches of a user: an ordered list, of which the first is the default. It knows nothing of bytes, sockets or
 * clients. Each operation is one step: it happens wholly, or throws and changes nothing. How often an operation bumps
 * the change times is part of the contract (CCAPI RPC specification 4.2), so the calls below are as many as they are.
 */
export class Collection {
  readonly identifier: Identifier;
  readonly #identifiers: IdentifierSource;
  readonly #now: Clock;
  readonly #order = new LinkedList<CCache>();
  readonly #births = new LinkedList<CCache>();
  readonly #byName = new Map<string, CCache>();
  readonly #byObject = new Map<string, CCache>();
  readonly lock = new LockState({
    locked: 'ccErrContextLocked',
    unlocked: 'ccErrContextUnlocked',
    gone: 'ccErrInvalidContext',
  });
  readonly waiters = new Waiters();
  #changed = 0;
  #nextUnique = 0n;
  #awaitedDefault: string | undefined;

  constructor(identifiers: IdentifierSource, now: Clock) {
    this.#identifiers = identifiers;
    this.#now = now;
    this.identifier = freshIdentifier(identifiers);
    this.#collectionChanged();
  }

  /** When the collection last changed. */
  get changed(): number {
    return this.#changed;
  }

  get default(): CCache | undefined {
    return this.#order.first;
  }

  get size(): number {
    return this.#order.size;
  }

  [Symbol.iterator](): Iterator<CCache> {
    return this.#order[Symbol.iterator]();
  }

  named(name: string): CCache | undefined {
    return this.#byName.get(name);
  }

  identified({ server, object }: Identifier): CCache | undefined {
    return server === this.identifier.server ? this.#byObject.get(object) : undefined;
  }

  /** An identifier for something of this collection that is none of its ccaches or credentials, such as an iterator. */
  newIdentifier(): Identifier {
    return freshIdentifier(this.#identifiers);
  }

  walk(): Walk<CCache> {
    return Walk.inOrder(this.#order, this.#births);
  }

  /** Makes a ccache, or resets the one that has this name. */
  create(name: string, version: number, principal: string): CCache {
    requireV5(version);
    const existing = this.#byName.get(name);
    const ccache = existing ? this.#reset(existing, principal) : this.#make(name, principal);
    this.#collectionChanged();
    return ccache;
  }

  /** Makes the default ccache, or resets it under whatever name it has. */
  createDefault(version: number, principal: string): CCache {
    return this.create(this.default?.name ?? DEFAULT_NAME, version, principal);
  }

  /** Makes a ccache under a name of its own: the first one's is fixed, later ones are counted. */
  createNew(version: number, principal: string): CCache {
    return this.create(this.#order.size === 0 ? DEFAULT_NAME : this.#uniqueName(), version, principal);
  }

  /** Gives a ccache new contents in one step, or makes it with them. It keeps its identifier and its place. */
  replace(name: string, contents: Contents): CCache {
    const existing = this.#byName.get(name);
    const ccache = existing ?? this.#make(name, contents.principal);
    ccache.replaceContents(contents);
    if (existing) this.#ccacheChanged(ccache);
    this.#collectionChanged();
    return ccache;
  }

  destroy(ccache: CCache): void {
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
    if (ccache) this.setDefault(ccache);
    else this.#awaitedDefault = name;
  }

  setDefault(ccache: CCache): void {
    this.#awaitedDefault = undefined;
    const old = this.default;
    if (!ccache.places || !old || old === ccache) return;
    this.#order.remove(ccache.places.order);
    ccache.places.order = this.#order.prepend(ccache);
    this.#ccacheChanged(old);
    ccache.becomeDefault(this.#now());
    this.#ccacheChanged(ccache);
    this.#collectionChanged();
  }

  /** Moves the contents of one ccache into another, whose own are dropped, and destroys the empty shell. */
  move(source: CCache, destination: CCache): void {
    if (source === destination) throw new CCAPIError('ccErrBadParam', 'a ccache cannot be moved onto itself');
    destination.replaceContents(source.contents);
    source.contents = emptyContents('');
    destination.changed = Math.max(source.changed, destination.changed);
    this.#ccacheChanged(source);
    this.#ccacheChanged(destination);
    this.#ccacheChanged(source);
    this.#drop(source);
    this.#ccacheChanged(destination);
  }

  setPrincipal(ccache: CCache, version: number, principal: string): void {
    requireV5(version);
    ccache.setPrincipal(principal);
    this.#ccacheChanged(ccache);
  }

  /** Appends a credential, in one step with the removal of those that it replaces. */
  store(ccache: CCache, credential: CredentialV5, replaced: readonly Identifier[] = []): void {
    for (const identifier of replaced) ccache.remove(identifier);
    ccache.store(freshIdentifier(this.#identifiers), credential);
    this.#ccacheChanged(ccache);
  }

  remove(ccache: CCache, ...credentials: Identifier[]): void {
    for (const credential of credentials) ccache.remove(credential);
    this.#ccacheChanged(ccache);
  }

  /** Sets the KDC offset, or with undefined forgets it. */
  setKDCOffset(ccache: CCache, offset: number | undefined): void {
    ccache.contents.kdcOffset = offset;
    this.#ccacheChanged(ccache);
  }

  /** The server ends in order: whoever waits is told that what they wait for is gone (5.8). */
  shutDown(): void {
    this.lock.discard();
    for (const ccache of this) {
      ccache.lock.discard();
      ccache.waiters.discard('ccErrInvalidCCache');
    }
    this.waiters.discard('ccErrInvalidContext');
  }

  #make(name: string, principal: string): CCache {
    const now = this.#now();
    const lastDefault = this.#order.size === 0 ? now : 0;
    const ccache = new CCache(freshIdentifier(this.#identifiers), name, emptyContents(principal), now, lastDefault);
    ccache.places = { order: this.#order.append(ccache), birth: this.#births.append(ccache) };
    this.#byName.set(name, ccache);
    this.#byObject.set(ccache.identifier.object, ccache);
    if (name === this.#awaitedDefault) this.setDefault(ccache);
    return ccache;
  }

  #reset(ccache: CCache, principal: string): CCache {
    ccache.replaceContents(emptyContents(principal));
    this.#ccacheChanged(ccache);
    return ccache;
  }

  #drop(ccache: CCache): void {
    if (!ccache.places) return;
    this.#order.remove(ccache.places.order);
    this.#births.remove(ccache.places.birth);
    ccache.places = undefined;
    ccache.removed = true;
    ccache.contents.credentials.discard();
    ccache.lock.discard();
    this.#byName.delete(ccache.name);
    this.#byObject.delete(ccache.identifier.object);
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
    this.waiters.wake(this.#changed);
  }
}
