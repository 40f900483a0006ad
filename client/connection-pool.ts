import type { MessageName, Reply, Request } from '../proto/ccapi.ts';
import { CCAPIError } from '../proto/errors.ts';
import type { Identifier } from '../proto/identifier.ts';
import { Connection } from './connection.ts';
import { type LocateOptions, Locator } from './locator.ts';

/**
 * The lock types of {@link Context.lock} and {@link CCache.lock}.
 *
 * @enum
 */
export const LockType = {
  /** Shared with other read locks. */
  read: 0,
  /** For this context alone. */
  write: 1,
  /** Makes this context's read lock a write lock. */
  upgrade: 2,
  /** Makes this context's write lock a read lock. */
  downgrade: 3,
} as const;

type LockMessage = 'contextLock' | 'ccacheLock';
type UnlockMessage = 'contextUnlock' | 'ccacheUnlock';
type WaitMessage = 'contextWaitForChange' | 'ccacheWaitForChange';

/**
 * The connections of one context. A request that waits holds up the later ones of its connection, and a lock is
 * its connection's; so there is one connection for all that is answered at once, one for each object that this context
 * has locked or waits to lock, and one for each wait for a change.
 */
export class ConnectionPool {
  /** The connection for everything that does not wait. */
  readonly main: Connection;
  readonly #locator: Locator;
  readonly #locks = new Map<string, { connection: Connection; held: boolean; asked: number }>();
  readonly #waits = new Set<Connection>();

  constructor(options: LocateOptions) {
    this.#locator = new Locator(options);
    this.main = new Connection(this.#locator);
  }

  /**
   * Locks an object; waits for it where `block` says so. An abort rejects with the signal's reason and withdraws the
   * request, and with it, where that was for an upgrade, the read lock that was to be upgraded.
   */
  async lock(name: LockMessage, object: Identifier, type: number, block: boolean, signal?: AbortSignal): Promise<void> {
    signal?.throwIfAborted();
    const key = keyOf(object);
    const lock = this.#locks.get(key) ?? { connection: this.#connection(), held: false, asked: 0 };
    this.#locks.set(key, lock);
    lock.asked++;
    try {
      const request = { type, block: block ? 1 : 0 };
      await withAbort(lock.connection, signal, () => lock.connection.call(name, object, request));
      lock.held = true;
    } finally {
      lock.asked--;
      // The abort has ended the connection, and with it what it held.
      if (lock.connection.closed) lock.held = false;
      this.#dropIfUnused(key);
    }
  }

  /** Unlocks an object; throws what the server says where this context has not locked it. */
  async unlock(name: UnlockMessage, object: Identifier): Promise<void> {
    const key = keyOf(object);
    const lock = this.#locks.get(key);
    if (!lock) {
      await this.main.call(name, object, {});
      return;
    }
    lock.asked++;
    try {
      await lock.connection.call(name, object, {});
    } finally {
      lock.asked--;
      // Refused or not, there is no lock any more.
      lock.held = false;
      this.#dropIfUnused(key);
    }
  }

  /** Asks `question` on a connection of its own, which is gone with the answer or the abort. */
  async waiting<T>(question: (connection: Connection) => Promise<T>, signal?: AbortSignal): Promise<T> {
    const connection = this.#connection();
    this.#waits.add(connection);
    try {
      return await withAbort(connection, signal, () => question(connection));
    } finally {
      this.#waits.delete(connection);
      connection.close();
    }
  }

  /** Waits until an object has changed since `last`; returns when it did. */
  async waitForChange(name: WaitMessage, object: Identifier, last: number, signal?: AbortSignal): Promise<number> {
    return this.waiting(async (connection) => (await connection.call(name, object, { last })).time, signal);
  }

  call<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    return this.main.call(name, object, request);
  }

  /** Ends every connection, and with them the locks; calls that wait fail with 204. */
  close(): void {
    this.main.close();
    for (const key of [...this.#locks.keys()]) this.#drop(key);
    for (const connection of this.#waits) connection.close();
  }

  #connection(): Connection {
    if (this.main.closed) throw new CCAPIError('ccErrInvalidContext', 'the context is closed');
    return new Connection(this.#locator);
  }

  /** A connection that holds no lock is of no more use, unless something is still asked on it. */
  #dropIfUnused(key: string): void {
    const lock = this.#locks.get(key);
    if (lock && !lock.held && lock.asked === 0) this.#drop(key);
  }

  #drop(key: string): void {
    this.#locks.get(key)?.connection.close();
    this.#locks.delete(key);
  }
}

/** The collection has no identifier that every context knows, and needs no other key than this. */
function keyOf({ server, object }: Identifier): string {
  return `${server} ${object}`;
}

/** What the connection is asked, or the signal's reason as soon as that is given; the connection is gone then. */
async function withAbort<T>(
  connection: Connection,
  signal: AbortSignal | undefined,
  ask: () => Promise<T>,
): Promise<T> {
  if (!signal) return ask();
  signal.throwIfAborted();
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => {
      reject(signal.reason);
      connection.close();
    };
  });
  signal.addEventListener('abort', abort);
  try {
    const asked = ask();
    // Once the signal has decided, the outcome of the request no longer matters.
    asked.catch(() => {});
    return await Promise.race([asked, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}
