import type { Identifier } from '../../proto/identifier.ts';
import type { CCache, Contents } from '../ccache.ts';
import type { StoredCredential } from '../credential-list.ts';

/** A credential that is about to be stored, and the bytes that it came as where KCM brought it. */
export type NewCredential = Pick<StoredCredential, 'value' | 'marshalled'>;

/** A ccache that is about to be. */
export interface NewCCache {
  identifier: Identifier;
  name: string;
  contents: Contents;
  /** When it becomes the default; 0 if it does not. */
  lastDefault: number;
  /** Whether it goes before the others. */
  first: boolean;
}

/**
 * What keeps a collection beyond its process. It is told of each change before that happens, and the change happens only
 * if it returns: what it throws is the answer to whoever wanted the change.
 */
export interface Keeper {
  made(ccache: NewCCache): void;
  /** A ccache gets other contents, with credentials or without. */
  replaced(ccache: CCache, contents: Contents): void;
  destroyed(ccache: CCache): void;
  /**
   * The contents of one ccache become those of another, which may be new, and the first is gone. With `at` the other
   * becomes the default.
   */
  moved(source: CCache, destination: CCache, how: { isNew: boolean; at?: number | undefined }): void;
  madeDefault(ccache: CCache, at: number): void;
  /** What is to be the default once it is there. */
  awaited(name: string | undefined): void;
  principalSet(ccache: CCache, principal: string): void;
  offsetSet(ccache: CCache, offset: number | undefined): void;
  /** Returns what the list has to remember of the credential for the keeper's sake. */
  stored(ccache: CCache, credential: NewCredential, replaced: readonly StoredCredential[]): number;
  removed(ccache: CCache, credentials: readonly StoredCredential[]): void;
}

/** Everything is gone with the process. */
export const nothingKept: Keeper = {
  made() {},
  replaced() {},
  destroyed() {},
  moved() {},
  madeDefault() {},
  awaited() {},
  principalSet() {},
  offsetSet() {},
  stored: () => 0,
  removed() {},
};
