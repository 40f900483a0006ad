import type { Identifier } from '../../proto/identifier.ts';
import type { CCache, Contents } from './ccache.ts';
import type { StoredCredential } from './credential-list.ts';

/** A credential that is about to be stored, and the bytes that it came as where KCM brought it. */
export type NewCredential = Pick<StoredCredential, 'value' | 'marshalled'>;

/** A ccache that is about to be created. */
export interface NewCCache {
  identifier: Identifier;
  name: string;
  contents: Contents;
  /** When it becomes the default, in seconds since 1970; 0 if it does not. */
  lastDefault: number;
  /** Whether it goes before the others. */
  first: boolean;
}

/**
 * Keeps a collection beyond its process. Each method but the first is called before the change that it is named after, which happens
 * only if the method returns: an error that it throws is the reply to the client.
 */
export interface Storage {
  /** Is told of each change, once it has happened. */
  noteChange(): void;
  create(ccache: NewCCache): void;
  /** Gives a ccache other contents, with credentials or without. */
  replace(ccache: CCache, contents: Contents): void;
  destroy(ccache: CCache): void;
  /**
   * Makes the contents of one ccache those of another, which may be new, and destroys the first. With `at`, a time, the
   * other becomes the default.
   */
  move(source: CCache, destination: CCache, how: { isNew: boolean; at?: number | undefined }): void;
  makeDefault(ccache: CCache, at: number): void;
  /** Names the ccache that becomes the default when it is created. */
  setAwaitedDefault(name: string | undefined): void;
  setPrincipal(ccache: CCache, principal: string): void;
  /** Sets the KDC offset, or with undefined forgets it. */
  setOffset(ccache: CCache, offset: number | undefined): void;
  /** Returns what the list remembers of the credential for the storage's sake. */
  store(ccache: CCache, credential: NewCredential, replaced: readonly StoredCredential[]): number;
  remove(ccache: CCache, credentials: readonly StoredCredential[]): void;
}

/** Everything ends with the process. */
export const noStorage: Storage = {
  noteChange() {},
  create() {},
  replace() {},
  destroy() {},
  move() {},
  makeDefault() {},
  setAwaitedDefault() {},
  setPrincipal() {},
  setOffset() {},
  store: () => 0,
  remove() {},
};
