import { CREDENTIALS_V5 } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import type { Identifier } from '../../proto/identifier.ts';
import { bumped } from './change-time.ts';
import { CredentialList, type StoredCredential } from './credential-list.ts';
import type { Removable } from './cursor.ts';
import type { ListIdentity } from './identifiers.ts';
import { LockState } from './locks.ts';
import { Waiters } from './waiters.ts';

/** What a ccache holds, as opposed to what it is: this is what a reset replaces and a move carries over. */
export interface Contents {
  principal: string;
  /** The principal's name type where a client told it; else it is what the text implies. */
  nameType?: number;
  /** KDC clock minus client clock in seconds, as unsigned 32 bits; undefined while it is not set. */
  kdcOffset: number | undefined;
  credentials: CredentialList;
}

/** Contents of a ccache that was just made for a principal. */
export function emptyContents(list: ListIdentity, principal: string): Contents {
  return { principal, kdcOffset: undefined, credentials: new CredentialList(list) };
}

/** A named credentials cache. It changes only through its collection, which wakes the clients that wait. */
export class CCache implements Removable {
  readonly identifier: Identifier;
  readonly name: string;
  readonly version = CREDENTIALS_V5;
  contents: Contents;
  /** When it last became the default; 0 for never. */
  lastDefault: number;
  changed: number;
  removed = false;
  readonly lock = new LockState({
    locked: 'ccErrCCacheLocked',
    unlocked: 'ccErrCCacheUnlocked',
    gone: 'ccErrInvalidCCache',
  });
  readonly waiters = new Waiters();

  constructor(identifier: Identifier, name: string, contents: Contents, now: number, lastDefault: number) {
    this.identifier = identifier;
    this.name = name;
    this.contents = contents;
    this.changed = now;
    this.lastDefault = lastDefault;
  }

  bump(now: number): void {
    this.changed = bumped(this.changed, now);
  }

  /** Replaces the contents; what was there is dropped, with every iteration over it. */
  replaceContents(contents: Contents): void {
    this.contents.credentials.discard();
    this.contents = contents;
  }

  setPrincipal(principal: string): void {
    const { credentials } = this.contents;
    this.contents = { principal, kdcOffset: undefined, credentials };
  }

  /** The credential with this identifier; throws 207 where it is not in this ccache. */
  credential(identifier: Identifier): StoredCredential {
    const found = this.contents.credentials.find(identifier.object);
    if (found?.identifier.server !== identifier.server) throw new CCAPIError('ccErrInvalidCredentials');
    return found;
  }
}
