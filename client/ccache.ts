import type { MessagesOn, Reply, Request } from '../proto/ccapi.ts';
import { CREDENTIALS_V5, type CredentialV5 } from '../proto/credential.ts';
import { CCAPIError } from '../proto/errors.ts';
import { type Identifier, sameIdentifier } from '../proto/identifier.ts';
import { isConfigServer } from '../proto/krb5-credential.ts';
import { checkInstance, checkWaiting } from './check-arguments.ts';
import type { ConnectionPool } from './connection-pool.ts';
import { each, RemoteIterator } from './remote-iterator.ts';

/** A credential as a ccache gave it. */
export class Credentials {
  /** What names it on its server. */
  readonly identifier: Identifier;
  /** The credential itself. */
  readonly data: CredentialV5;

  /** @internal A ccache gives them out. */
  constructor(identifier: Identifier, data: CredentialV5) {
    this.identifier = identifier;
    this.data = data;
  }

  /** Whether both are the same stored credential. Equal tickets that were stored twice are different. */
  compare(other: Credentials): boolean {
    checkInstance(other, Credentials, 'other');
    return sameIdentifier(this.identifier, other.identifier);
  }
}

/** Which of a ccache's credentials are iterated over. */
export interface CredentialsOptions {
  /** With libkrb5's notes to itself (`X-CACHECONF:`), which are no tickets; else they are left out. */
  all?: boolean;
}

/**
 * A ccache of the server. It is a name for it and nothing else: opening one twice is harmless, and letting go of one
 * needs no call. Every call may throw a {@link CCAPIError}: 205 (`ccErrInvalidCCache`) once the ccache is destroyed, moved
 * away or lost with its server, 223 where no server can be reached; what else it may throw stands with it. Source:
 * proto/CCAPI.md#ccache-messages.
 */
export class CCache {
  /** What names it on its server. */
  readonly identifier: Identifier;
  readonly #channels: ConnectionPool;
  #gone = false;
  #lastWait = 0;

  /** @internal Only a context makes ccaches. */
  constructor(channels: ConnectionPool, identifier: Identifier) {
    this.#channels = channels;
    this.identifier = identifier;
  }

  /** Destroys the ccache on the server, with all its credentials. */
  async destroy(): Promise<void> {
    await this.#call('ccacheDestroy', {});
    this.#gone = true;
  }

  /** Makes this the default ccache, which is the first of the collection. */
  async setDefault(): Promise<void> {
    await this.#call('ccacheSetDefault', {});
  }

  /** The version of credentials it holds: 2, which is version 5. */
  async getCredentialsVersion(): Promise<number> {
    return (await this.#call('ccacheGetCredentialsVersion', {})).version;
  }

  /** Its name, without the `API:` or `KCM:` before it. */
  async getName(): Promise<string> {
    return (await this.#call('ccacheGetName', {})).name;
  }

  /** The principal as `krb5_unparse_name` writes it; a ccache that libkrb5 has just made may have an empty one. */
  async getPrincipal(version: number = CREDENTIALS_V5): Promise<string> {
    return (await this.#call('ccacheGetPrincipal', { version })).principal;
  }

  /** Sets the principal and forgets the KDC offset; the credentials stay. */
  async setPrincipal(principal: string, version: number = CREDENTIALS_V5): Promise<void> {
    await this.#call('ccacheSetPrincipal', { version, principal });
  }

  /** Appends a credential. One that is equal to another is not found out: there are two then. */
  async storeCredentials(credentials: CredentialV5): Promise<void> {
    await this.#call('ccacheStoreCredentials', { credentials });
  }

  /** Removes a credential; throws 207 (`ccErrInvalidCredentials`) where it is not in this ccache. */
  async removeCredentials(credentials: Credentials): Promise<void> {
    checkInstance(credentials, Credentials, 'credentials');
    await this.#call('ccacheRemoveCredentials', { credentials: credentials.identifier });
  }

  /** The credentials in the order in which they were stored, for `for await`. */
  credentials(options: CredentialsOptions = {}): AsyncGenerator<Credentials, void, undefined> {
    return each(this.newCredentialsIterator(options));
  }

  /** An iterator over the credentials, as {@link credentials} has them, to be released when it is no longer wanted. */
  newCredentialsIterator({ all = false }: CredentialsOptions = {}): Promise<RemoteIterator<Credentials>> {
    const channels = this.#channels;
    return RemoteIterator.open({
      open: async () => (await this.#call('ccacheNewCredentialsIterator', {})).iterator,
      generation: () => channels.main.generation,
      async next(at) {
        const { identifier, credentials } = await channels.call('credentialsIteratorNext', at, {});
        return new Credentials(identifier, credentials);
      },
      isWanted: ({ data }) => all || !isConfigServer(data.server),
      clone: async (from) => (await channels.call('credentialsIteratorClone', from, {})).iterator,
      release: (at) => channels.main.send('credentialsIteratorRelease', at, {}),
    });
  }

  /** Moves what this ccache holds into another, key own is dropped; this one is gone then. Onto itself: 202. */
  async move(destination: CCache): Promise<void> {
    checkInstance(destination, CCache, 'destination');
    this.#requireAlive();
    await destination.#call('ccacheMove', { source: this.identifier });
    this.#gone = true;
  }

  /**
   * Locks the ccache for this context; `type` is one of {@link LockType}. Locks are advisory. Waits until it is granted,
   * or with `block` false throws 216 (`ccErrCCacheLocked`); throws 218 (`ccErrBadLockType`) for a lock that does
   * not go with what this context holds. An abort throws the signal's reason, and while an upgrade waits gives up the
   * read lock too.
   */
  async lock(type: number, block = true, signal?: AbortSignal): Promise<void> {
    checkWaiting(block, signal);
    this.#requireAlive();
    await this.#channels.lock('ccacheLock', this.identifier, type, block, signal);
  }

  /** Gives the lock back; throws 217 (`ccErrCCacheUnlocked`) where this context has none. */
  async unlock(): Promise<void> {
    this.#requireAlive();
    await this.#channels.unlock('ccacheUnlock', this.identifier);
  }

  /**
   * Waits until the ccache has changed since the last time this was called on this object; the first call returns at
   * once. Other calls go on meanwhile. Returns the time of the change. An abort throws the signal's reason.
   */
  async waitForChange(signal?: AbortSignal): Promise<number> {
    checkWaiting(false, signal);
    this.#requireAlive();
    const last = this.#lastWait;
    this.#lastWait = await this.#channels.waitForChange('ccacheWaitForChange', this.identifier, last, signal);
    return this.#lastWait;
  }

  /** When it last became the default, in seconds since 1970; throws 219 (`ccErrNeverDefault`) if it never did. */
  async getLastDefaultTime(): Promise<number> {
    return (await this.#call('ccacheGetLastDefaultTime', {})).time;
  }

  /** When it last changed, in seconds since 1970; runs ahead of the clock where several changes fall into a second. */
  async getChangeTime(): Promise<number> {
    return (await this.#call('ccacheGetChangeTime', {})).time;
  }

  /** Whether both are the same ccache of the same server. */
  compare(other: CCache): boolean {
    checkInstance(other, CCache, 'other');
    return sameIdentifier(this.identifier, other.identifier);
  }

  /** KDC clock minus client clock, in seconds, signed; throws 226 (`ccErrTimeOffsetNotSet`) where none is stored. */
  async getKDCTimeOffset(version: number = CREDENTIALS_V5): Promise<number> {
    return (await this.#call('ccacheGetKDCTimeOffset', { version })).offset | 0;
  }

  /** Stores KDC clock minus client clock, in seconds. */
  async setKDCTimeOffset(seconds: number, version: number = CREDENTIALS_V5): Promise<void> {
    await this.#call('ccacheSetKDCTimeOffset', { version, offset: seconds });
  }

  /** Removes the stored offset. */
  async clearKDCTimeOffset(version: number = CREDENTIALS_V5): Promise<void> {
    await this.#call('ccacheClearKDCTimeOffset', { version });
  }

  async #call<Name extends MessagesOn<'ccache'>>(name: Name, request: Request<Name>): Promise<Reply<Name>> {
    this.#requireAlive();
    return this.#channels.call(name, this.identifier, request);
  }

  #requireAlive(): void {
    if (this.#gone) throw new CCAPIError('ccErrInvalidCCache', 'this ccache was destroyed or moved away');
  }
}
