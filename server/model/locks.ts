import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Cancellable, Client } from './cancellation.ts';

/** The lock types of the API. Once granted, an upgrade counts as a write lock and a downgrade as a read lock. */
export const lockTypes = { read: 0, write: 1, upgrade: 2, downgrade: 3 } as const;

/** The errors of a lock state, which differ between the collection and a ccache (proto/CCAPI.md#locks). */
interface LockErrors {
  locked: ErrorName;
  unlocked: ErrorName;
  gone: ErrorName;
}

class Entry implements Cancellable {
  readonly state: LockState;
  readonly client: Client;
  readonly type: number;
  /** These settle the wait for a lock that was not granted at once. */
  resolve?: () => void;
  reject?: (error: Error) => void;

  constructor(state: LockState, client: Client, type: number) {
    this.state = state;
    this.client = client;
    this.type = type;
  }

  cancel(): void {
    this.state.cancel(this);
  }

  get isWrite(): boolean {
    return this.type === lockTypes.write || this.type === lockTypes.upgrade;
  }
}

/**
 * The lock of the collection, or of one ccache: which clients hold it and which wait for it, first come, first looked at. It is
 * advisory, and not fair: a reader is let in while a writer waits. A client has at most one lock here. Source:
 * proto/CCAPI.md#locks.
 */
export class LockState {
  readonly #errors: LockErrors;
  readonly #granted = new Map<Client, Entry>();
  readonly #pending = new Set<Entry>();

  constructor(errors: LockErrors) {
    this.#errors = errors;
  }

  /** How many hold it, and how many wait for it. */
  get counts(): { granted: number; pending: number } {
    return { granted: this.#granted.size, pending: this.#pending.size };
  }

  /**
   * Grants a lock at once, or, where `block` allows it, returns the wait for it. That rejects with `gone` when the object
   * is gone or the client asks again, and never settles where the client is gone first. Throws 218 (`ccErrBadLockType`) for
   * a type that makes no sense with what the client holds, and `locked` where it would have to wait and may not.
   */
  lock(client: Client, type: number, block: boolean): Promise<void> | undefined {
    for (const entry of this.#pending) if (entry.client === client) this.#refuse(entry);
    const entry = new Entry(this, client, type);
    const verdict = this.#verdict(entry);
    if (verdict === 'senseless') throw new CCAPIError('ccErrBadLockType');
    if (verdict === 'wait') {
      if (!block) throw new CCAPIError(this.#errors.locked);
      return this.#wait(entry);
    }
    this.#grant(entry);
    if (type === lockTypes.downgrade) this.#rescan();
    return undefined;
  }

  /** Gives the client's lock back; clients that can have it now are answered first. Throws where there is none. */
  unlock(client: Client): void {
    const entry = this.#granted.get(client);
    if (!entry) throw new CCAPIError(this.#errors.unlocked);
    this.#granted.delete(client);
    client.cancellables.delete(entry);
    this.#rescan();
  }

  /** The object is gone: clients that wait are told so, and those that hold the lock hold nothing any more. */
  discard(): void {
    for (const entry of this.#pending) this.#refuse(entry);
    for (const entry of this.#granted.values()) entry.client.cancellables.delete(entry);
    this.#granted.clear();
  }

  /** An entry's client is gone. */
  cancel(entry: Entry): void {
    entry.client.cancellables.delete(entry);
    this.#pending.delete(entry);
    if (this.#granted.get(entry.client) === entry) this.#granted.delete(entry.client);
    this.#rescan();
  }

  /** What the table of proto/CCAPI.md#locks says of a request at this moment. */
  #verdict({ client, type }: Entry): 'grant' | 'wait' | 'senseless' {
    const held = this.#granted.get(client);
    const [someone] = this.#granted.values();
    if (type === lockTypes.read && !held) return someone?.isWrite ? 'wait' : 'grant';
    if (type === lockTypes.write && !held) return someone ? 'wait' : 'grant';
    if (type === lockTypes.upgrade && held && !held.isWrite) return this.#granted.size > 1 ? 'wait' : 'grant';
    if (type === lockTypes.downgrade && held?.isWrite) return 'grant';
    return 'senseless';
  }

  #wait(entry: Entry): Promise<void> {
    this.#pending.add(entry);
    entry.client.cancellables.add(entry);
    return new Promise((resolve, reject) => {
      entry.resolve = resolve;
      entry.reject = reject;
    });
  }

  #grant(entry: Entry): void {
    const { client } = entry;
    const old = this.#granted.get(client);
    if (old) client.cancellables.delete(old);
    this.#granted.set(client, entry);
    this.#pending.delete(entry);
    client.cancellables.add(entry);
    entry.resolve?.();
  }

  #refuse(entry: Entry): void {
    this.#pending.delete(entry);
    entry.client.cancellables.delete(entry);
    entry.reject?.(new CCAPIError(this.#errors.gone));
  }

  /** Goes over the waiting clients until one pass grants nothing. */
  #rescan(): void {
    for (let granted = true; granted; ) {
      granted = false;
      for (const entry of [...this.#pending]) {
        if (this.#verdict(entry) !== 'grant') continue;
        this.#grant(entry);
        granted = true;
      }
    }
  }
}
