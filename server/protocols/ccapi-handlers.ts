import type { MessageName, messages, Reply, Request } from '../../proto/ccapi.ts';
import { requireV5 } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import type { Cancellable, Client } from '../model/cancellation.ts';
import type { CCache } from '../model/ccache.ts';
import { type Collection, DEFAULT_NAME } from '../model/collection.ts';
import type { CCacheIterator, CredentialsIterator, Iterators } from '../model/iterators.ts';
import { destroyWithClient } from '../model/staging-ccaches.ts';

/** What each class of message acts on. */
export interface Objects {
  context: Collection;
  ccache: CCache;
  ccacheIterator: CCacheIterator;
  credentialsIterator: CredentialsIterator;
}

/** What a handler may use beside its object. */
export interface HandlerContext {
  readonly collection: Collection;
  readonly iterators: Iterators;
  /** The iterators of the asking connection; they go when it does. */
  readonly owned: Set<string>;
  readonly cancellables: Set<Cancellable>;
  /** Makes a ccache that the collection does not have yet; undefined where there is no such. */
  findElsewhere(name: string): CCache | undefined;
}

/** The messages that may have to wait for their reply (proto/CCAPI.md#messages). */
type BlockingMessage = 'contextWaitForChange' | 'contextLock' | 'ccacheLock' | 'ccacheWaitForChange';

type Handlers = {
  readonly [Name in MessageName]: (
    object: Objects[(typeof messages)[Name]['object']],
    request: Request<Name>,
    context: HandlerContext,
  ) => Reply<Name> | (Name extends BlockingMessage ? Promise<Reply<Name>> : never);
};

/** What the server does for each message of the table (proto/CCAPI.md#messages). A handler throws its error. */
export const handlers: Handlers = {
  contextUnusedRelease: () => ({}),
  contextSync: (collection) => ({ collection: collection.identifier }),
  contextGetChangeTime: (collection) => ({ time: collection.changed }),
  contextWaitForChange: waitForChange,
  contextGetDefaultCCacheName: (collection) => ({ name: collection.default?.name ?? DEFAULT_NAME }),
  contextOpenCCache: (collection, { name }, { findElsewhere }) => ({
    ccache: require(collection.findByName(name) ?? findElsewhere(name)).identifier,
  }),
  contextOpenDefaultCCache: (collection) => ({ ccache: require(collection.default).identifier }),
  contextCreateCCache: (collection, { name, version, principal }, client) => ({
    ccache: destroyWithClient(collection.create(name, version, principal), collection, client).identifier,
  }),
  contextCreateDefaultCCache: (collection, { version, principal }) => ({
    ccache: collection.createDefault(version, principal).identifier,
  }),
  contextCreateNewCCache: (collection, { version, principal }) => ({
    ccache: collection.createNew(version, principal).identifier,
  }),
  contextNewCCacheIterator: (collection, _, { iterators, owned }) => ({
    iterator: iterators.openOverCCaches(owned, collection.cursor()).identifier,
  }),
  contextLock: lock,
  contextUnlock: (collection, _, client) => noResult(collection.lock.unlock(client)),

  ccacheDestroy: (ccache, _, { collection }) => noResult(collection.destroy(ccache)),
  ccacheSetDefault: (ccache, _, { collection }) => noResult(collection.setDefault(ccache)),
  ccacheGetCredentialsVersion: ({ version }) => ({ version }),
  ccacheGetName: ({ name }) => ({ name }),
  ccacheGetPrincipal: ({ contents }, { version }) => {
    requireV5(version);
    return { principal: contents.principal };
  },
  ccacheSetPrincipal: (ccache, { version, principal }, { collection }) =>
    noResult(collection.setPrincipal(ccache, version, principal)),
  ccacheStoreCredentials: (ccache, { credentials }, { collection }) => noResult(collection.store(ccache, credentials)),
  ccacheRemoveCredentials: (ccache, { credentials }, { collection }) =>
    noResult(collection.remove(ccache, [credentials])),
  ccacheNewCredentialsIterator: ({ contents }, _, { iterators, owned }) => ({
    iterator: iterators.openOverCredentials(owned, contents.credentials, contents.credentials.cursor()).identifier,
  }),
  ccacheMove: (destination, { source }, { collection }) =>
    noResult(collection.move(require(collection.find(source), 'ccErrInvalidCCache'), destination)),
  ccacheLock: lock,
  ccacheUnlock: (ccache, _, client) => noResult(ccache.lock.unlock(client)),
  ccacheGetLastDefaultTime: ({ lastDefault }) => {
    if (lastDefault === 0) throw new CCAPIError('ccErrNeverDefault');
    return { time: lastDefault };
  },
  ccacheGetChangeTime: ({ changed }) => ({ time: changed }),
  ccacheWaitForChange: waitForChange,
  ccacheGetKDCTimeOffset: ({ contents: { kdcOffset } }) => ({ offset: require(kdcOffset, 'ccErrTimeOffsetNotSet') }),
  ccacheSetKDCTimeOffset: (ccache, { offset }, { collection }) => noResult(collection.setKDCOffset(ccache, offset)),
  ccacheClearKDCTimeOffset: (ccache, _, { collection }) => noResult(collection.setKDCOffset(ccache, undefined)),

  ccacheIteratorRelease: ({ identifier }, _, { iterators }) => noResult(iterators.release(identifier.object)),
  ccacheIteratorNext: ({ cursor }) => ({ ccache: require(cursor.next(), 'ccIteratorEnd').identifier }),
  ccacheIteratorClone: ({ cursor }, _, { iterators, owned }) => ({
    iterator: iterators.openOverCCaches(owned, cursor.clone()).identifier,
  }),

  credentialsIteratorRelease: ({ identifier }, _, { iterators }) => noResult(iterators.release(identifier.object)),
  credentialsIteratorNext: ({ cursor }) => {
    const { identifier, value } = require(cursor.next(), 'ccIteratorEnd');
    return { identifier, credentials: value };
  },
  credentialsIteratorClone: ({ cursor, list }, _, { iterators, owned }) => ({
    iterator: iterators.openOverCredentials(owned, list, cursor.clone()).identifier,
  }),
};

/** Any block word but 0 blocks (proto/CCAPI.md#locks). */
function lock(object: Collection | CCache, { type, block }: Request<'contextLock'>, client: Client) {
  return object.lock.lock(client, type, block !== 0)?.then(noResult) ?? {};
}

/** What has changed since the caller looked is answered at once (proto/CCAPI.md#waiting). */
function waitForChange(object: Collection | CCache, { last }: Request<'contextWaitForChange'>, client: Client) {
  if (last < object.changed) return { time: object.changed };
  return object.waiters.add(client).then((time) => ({ time }));
}

function require<T>(
  value: T | undefined,
  otherwise:
    | 'ccErrCCacheNotFound'
    | 'ccErrInvalidCCache'
    | 'ccErrTimeOffsetNotSet'
    | 'ccIteratorEnd' = 'ccErrCCacheNotFound',
): T {
  if (value === undefined) throw new CCAPIError(otherwise);
  return value;
}

function noResult(_: unknown): Record<never, never> {
  return {};
}
