import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Answer, Holder, Holding } from './cancellation.ts';

/** The lock types of the API. Once granted, an upgrade counts as a write lock and a downgrade as a read lock. */
export const lockTypes = { read: 0, write: 1, upgrade: 2, downgrade: 3 } as const;

/** The errors of a lock state, which differ between the collection and a ccache (proto/CCAPI.md#locks). */
export interface LockErrors {
  locked: ErrorName;
  unlocked: ErrorName;
  gone: ErrorName;
}

class Entry implements Holding {
  readonly state: LockState;
  readonly holder: Holder;
  readonly type: number;
  readonly answer: Answer<void>;

  constructor(state: LockState, holder: Holder, type: number, answer: Answer<void>) {
    this.state = state;
    this.holder = holder;
    this.type = type;
    this.answer = answer;
  }

  abandon(): void {
    this.state.abandon(this);
  }

  get isWrite(): boolean {
    return this.type === lockTypes.write || this.type === lockTypes.upgrade;
  }
}

/**
 * The lock of the collection, or of one ccache: who holds it and who waits for it, first come, first looked at. It is
 * advisory, and not fair: a reader is let in while a writer waits. A holder has at most one lock here. Source:
 * proto/CCAPI.md#locks.
 */
export class LockState {
  readonly #errors: LockErrors;
  readonly #granted = new Map<Holder, Entry>();
  readonly #pending = new Set<Entry>();

  constructor(errors: LockErrors) {
    this.#errors = errors;
  }

  /** How many hold it, and how many wait for it. */
  get counts(): { granted: number; pending: number } {
    return { granted: this.#granted.size, pending: this.#pending.size };
  }

  /** Answers at once, or, where `block` allows it, when the lock is granted or its object is gone. */
  lock(holder: Holder, type: number, block: boolean, answer: Answer<void>): void {
    for (const entry of this.#pending) if (entry.holder === holder) this.#refuse(entry, this.#errors.gone);
    const entry = new Entry(this, holder, type, answer);
    const verdict = this.#verdict(entry);
    if (verdict === 'senseless') {
      answer({ error: new CCAPIError('ccErrBadLockType') });
    } else if (verdict === 'grant') {
      this.#grant(entry);
      if (type === lockTypes.downgrade) this.#rescan();
    } else if (block) {
      this.#pending.add(entry);
      holder.holdings.add(entry);
    } else {
      answer({ error: new CCAPIError(this.#errors.locked) });
    }
  }

  /** Gives the holder's lock back; those who can have it now are answered first. Throws where there is none. */
  unlock(holder: Holder): void {
    const entry = this.#granted.get(holder);
    if (!entry) throw new CCAPIError(this.#errors.unlocked);
    this.#granted.delete(holder);
    holder.holdings.delete(entry);
    this.#rescan();
  }

  /** The object is gone: who waits is told so, who holds the lock holds nothing any more. */
  discard(): void {
    for (const entry of this.#pending) this.#refuse(entry, this.#errors.gone);
    for (const entry of this.#granted.values()) entry.holder.holdings.delete(entry);
    this.#granted.clear();
  }

  /** An entry's holder is gone. */
  abandon(entry: Entry): void {
    entry.holder.holdings.delete(entry);
    this.#pending.delete(entry);
    if (this.#granted.get(entry.holder) === entry) this.#granted.delete(entry.holder);
    this.#rescan();
  }

  /** What the table of proto/CCAPI.md#locks says of a request at this moment. */
  #verdict({ holder, type }: Entry): 'grant' | 'wait' | 'senseless' {
    const held = this.#granted.get(holder);
    const [someone] = this.#granted.values();
    if (type === lockTypes.read && !held) return someone?.isWrite ? 'wait' : 'grant';
    if (type === lockTypes.write && !held) return someone ? 'wait' : 'grant';
    if (type === lockTypes.upgrade && held && !held.isWrite) return this.#granted.size > 1 ? 'wait' : 'grant';
    if (type === lockTypes.downgrade && held?.isWrite) return 'grant';
    return 'senseless';
  }

  #grant(entry: Entry): void {
    const { holder } = entry;
    const old = this.#granted.get(holder);
    if (old) holder.holdings.delete(old);
    this.#granted.delete(holder);
    this.#granted.set(holder, entry);
    this.#pending.delete(entry);
    holder.holdings.add(entry);
    entry.answer({ result: undefined });
  }

  #refuse(entry: Entry, name: ErrorName): void {
    this.#pending.delete(entry);
    entry.holder.holdings.delete(entry);
    entry.answer({ error: new CCAPIError(name) });
  }

  /** Walks over those who wait until a walk grants nothing. */
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
