import { type MessagesOn, messages, type Reply, type Request } from '../proto/ccapi.ts';
import { CREDENTIALS_V5 } from '../proto/credential.ts';
import { CCAPIError } from '../proto/errors.ts';
import { type Identifier, isInitialised, sameIdentifier, uninitialised } from '../proto/identifier.ts';
import { CCache } from './ccache.ts';
import { processChangeTime } from './change-time.ts';
import { checkInstance, checkOptions, checkRequest, checkWaiting } from './check-arguments.ts';
import { ConnectionPool } from './connection-pool.ts';
import type { LocateOptions } from './locator.ts';
import { each, RemoteIterator } from './remote-iterator.ts';

/** What the default ccache is called while there is none (proto/CCAPI.md#context-messages). */
const DEFAULT_NAME = 'Initial default ccache';

/**
 * The user's collection of ccaches. Making a context connects to nothing; the first call connects, and the calls that need a
 * server start one where none runs. Calls that only look do so where one has left something to see, and else never: they
 * say that there is nothing (proto/CCAPI.md#writing-a-client). After a server was replaced the next call works on the new
 * one's collection. Every call may throw
 * a {@link CCAPIError}: 223 (`ccErrServerUnavailable`) where no server can be reached, 224 (`ccErrServerInsecure`) where
 * its place is not safe; what else it may throw stands with it.
 */
export class Context implements AsyncDisposable {
  readonly #channels: ConnectionPool;
  #identifier: Identifier = uninitialised;
  #synced = false;
  #lastWait = { server: uninitialised.server, time: 0 };

  /** Connects to nothing yet; without options it is the collection of this process's user. */
  constructor(options: LocateOptions = {}) {
    checkOptions(options);
    this.#channels = new ConnectionPool(options);
  }

  /** Seconds, unsigned 32 bits: grows with every change, and when the server appears, goes or is replaced. */
  async getChangeTime(): Promise<number> {
    const reply = await this.#call('contextGetChangeTime', {});
    if (reply) processChangeTime.noteTime(reply.time, this.#identifier);
    return processChangeTime.value;
  }

  /** The name of the default ccache; where there is none, the one that it would get. */
  async getDefaultCCacheName(): Promise<string> {
    return (await this.#call('contextGetDefaultCCacheName', {}))?.name ?? DEFAULT_NAME;
  }

  /** The ccache of this name; throws 221 (`ccErrCCacheNotFound`) where there is none. */
  async openCCache(name: string): Promise<CCache> {
    const reply = await this.#call('contextOpenCCache', { name });
    if (!reply) throw new CCAPIError('ccErrCCacheNotFound');
    return this.#ccache(reply.ccache);
  }

  /** The default ccache; throws 221 (`ccErrCCacheNotFound`) where the collection is empty. */
  async openDefaultCCache(): Promise<CCache> {
    const reply = await this.#call('contextOpenDefaultCCache', {});
    if (!reply) throw new CCAPIError('ccErrCCacheNotFound');
    return this.#ccache(reply.ccache);
  }

  /** Makes a ccache of this name for a principal, or empties the one there is. Throws 212 for a version but 2. */
  async createCCache(name: string, principal: string, version: number = CREDENTIALS_V5): Promise<CCache> {
    return this.#openCreated(await this.#call('contextCreateCCache', { name, version, principal }));
  }

  /** Makes the default ccache for a principal, or empties the one there is. Throws 212 for a version but 2. */
  async createDefaultCCache(principal: string, version: number = CREDENTIALS_V5): Promise<CCache> {
    return this.#openCreated(await this.#call('contextCreateDefaultCCache', { version, principal }));
  }

  /** Makes a ccache for a principal under a name that was not in use. Throws 212 for a version but 2. */
  async createNewCCache(principal: string, version: number = CREDENTIALS_V5): Promise<CCache> {
    return this.#openCreated(await this.#call('contextCreateNewCCache', { version, principal }));
  }

  /** The ccaches, the default one first, for `for await`. */
  ccaches(): AsyncGenerator<CCache, void, undefined> {
    return each(this.newCCacheIterator());
  }

  /** An iterator over the ccaches, to be released when it is no longer wanted; empty where no server runs. */
  newCCacheIterator(): Promise<RemoteIterator<CCache>> {
    const channels = this.#channels;
    return RemoteIterator.open({
      open: async () => (await this.#call('contextNewCCacheIterator', {}))?.iterator,
      generation: () => channels.main.generation,
      next: async (at) => this.#ccache((await channels.call('ccacheIteratorNext', at, {})).ccache),
      clone: async (from) => (await channels.call('ccacheIteratorClone', from, {})).iterator,
      release: (at) => channels.main.send('ccacheIteratorRelease', at, {}),
    });
  }

  /**
   * Locks the collection for this context; `type` is one of {@link LockType}. Locks are advisory. Waits until it is
   * granted, or with `block` false throws 214 (`ccErrContextLocked`); throws 218 (`ccErrBadLockType`) for a lock that does
   * not go with what this context holds. An abort throws the signal's reason, and while an upgrade waits gives
   * up the read lock too.
   */
  async lock(type: number, block = true, signal?: AbortSignal): Promise<void> {
    checkWaiting(block, signal);
    await this.#channels.lock('contextLock', uninitialised, type, block, signal);
  }

  /** Gives the lock back; throws 215 (`ccErrContextUnlocked`) where this context has none. */
  unlock(): Promise<void> {
    return this.#channels.unlock('contextUnlock', uninitialised);
  }

  /**
   * Waits until the collection has changed since the last time this was called on this context; the first call, and the
   * first on another server, returns at once. Other calls go on meanwhile. Returns the time of the change. An abort
   * throws the signal's reason.
   */
  async waitForChange(signal?: AbortSignal): Promise<number> {
    checkWaiting(false, signal);
    return this.#channels.waiting(async (connection) => {
      const { collection } = await connection.call('contextSync', uninitialised, {});
      this.#noteSync(collection);
      const last = collection.server === this.#lastWait.server ? this.#lastWait.time : 0;
      const { time } = await connection.call('contextWaitForChange', collection, { last });
      this.#lastWait = { server: collection.server, time };
      return time;
    }, signal);
  }

  /** Whether both are contexts of the same collection; two without a server are. */
  async compare(other: Context): Promise<boolean> {
    checkInstance(other, Context, 'other');
    await Promise.all([this.#call('contextSync', {}), other.#call('contextSync', {})]);
    return sameIdentifier(this.#identifier, other.#identifier);
  }

  /** The path of the worker's socket; starts a worker where none runs. */
  async getServerPath(): Promise<string> {
    await this.#channels.main.open(true);
    return this.#channels.main.path as string;
  }

  /** Ends the connection. Ccaches and iterators of this context go with it. */
  async close(): Promise<void> {
    this.#channels.close();
  }

  /** The same as {@link close}, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /**
   * Every call is preceded by a sync, which tells a server from its successor (proto/CCAPI.md#identifiers). Both travel
   * together: any server
   * takes the uninitialised identifier for its collection. Undefined where no server runs and none is to be started.
   */
  async #call<Name extends MessagesOn<'context'>>(
    name: Name,
    request: Request<Name>,
  ): Promise<Reply<Name> | undefined> {
    checkRequest(name, request);
    if (!(await this.#channels.main.open(messages[name].launches))) {
      this.#noteSync(uninitialised);
      return undefined;
    }
    const sync = this.#channels.main.send('contextSync', uninitialised, {});
    const [{ collection }, outcome] = await Promise.all([
      sync,
      this.#channels.main.send(name, uninitialised, request).then(
        (reply) => ({ reply }),
        (error: Error) => ({ error }),
      ),
    ]);
    this.#noteSync(collection);
    if ('error' in outcome) throw outcome.error;
    return outcome.reply;
  }

  #noteSync(collection: Identifier): void {
    if (this.#synced) processChangeTime.noteSync(collection);
    this.#synced = true;
    this.#identifier = collection;
  }

  #openCreated(reply: { ccache: Identifier } | undefined): CCache {
    if (!reply || !isInitialised(reply.ccache)) throw new CCAPIError('ccErrServerUnavailable');
    return this.#ccache(reply.ccache);
  }

  #ccache(identifier: Identifier): CCache {
    return new CCache(this.#channels, identifier);
  }
}
