import type { MessageName, messages, Reply, Request } from '../proto/ccapi.ts';
import { requireV5 } from '../proto/credential-v5.ts';
import { CCAPIError } from '../proto/error.ts';
import type { CCache } from './ccache.ts';
import { type Collection, DEFAULT_NAME } from './collection.ts';
import type { CCacheIterator, CredentialsIterator, Iterators } from './iterators.ts';

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
}

type Handlers = {
  readonly [Name in MessageName]: (
    object: Objects[(typeof messages)[Name]['object']],
    request: Request<Name>,
    context: HandlerContext,
  ) => Reply<Name>;
};

/** What the server does for each message of the table (CCAPI RPC specification 4.3 to 4.6). A handler throws its error. */
export const handlers: Handlers = {
  contextUnusedRelease: () => ({}),
  contextSync: (collection) => ({ collection: collection.identifier }),
  contextGetChangeTime: (collection) => ({ time: collection.changed }),
  contextWaitForChange: cannotBlock,
  contextGetDefaultCCacheName: (collection) => ({ name: collection.default?.name ?? DEFAULT_NAME }),
  contextOpenCCache: (collection, { name }) => ({ ccache: found(collection.named(name)).identifier }),
  contextOpenDefaultCCache: (collection) => ({ ccache: found(collection.default).identifier }),
  contextCreateCCache: (collection, { name, version, principal }) => ({
    ccache: collection.create(name, version, principal).identifier,
  }),
  contextCreateDefaultCCache: (collection, { version, principal }) => ({
    ccache: collection.createDefault(version, principal).identifier,
  }),
  contextCreateNewCCache: (collection, { version, principal }) => ({
    ccache: collection.createNew(version, principal).identifier,
  }),
  contextNewCCacheIterator: (collection, _, { iterators, owned }) => ({
    iterator: iterators.overCCaches(owned, collection.walk()).identifier,
  }),
  contextLock: cannotBlock,
  contextUnlock: () => {
    throw new CCAPIError('ccErrContextUnlocked');
  },

  ccacheDestroy: (ccache, _, { collection }) => done(collection.destroy(ccache)),
  ccacheSetDefault: (ccache, _, { collection }) => done(collection.setDefault(ccache)),
  ccacheGetCredentialsVersion: ({ version }) => ({ version }),
  ccacheGetName: ({ name }) => ({ name }),
  ccacheGetPrincipal: ({ contents }, { version }) => {
    requireV5(version);
    return { principal: contents.principal };
  },
  ccacheSetPrincipal: (ccache, { version, principal }, { collection }) =>
    done(collection.setPrincipal(ccache, version, principal)),
  ccacheStoreCredentials: (ccache, { credentials }, { collection }) => done(collection.store(ccache, credentials)),
  ccacheRemoveCredentials: (ccache, { credentials }, { collection }) => done(collection.remove(ccache, credentials)),
  ccacheNewCredentialsIterator: ({ contents }, _, { iterators, owned }) => ({
    iterator: iterators.overCredentials(owned, contents.credentials, contents.credentials.walk()).identifier,
  }),
  ccacheMove: (destination, { source }, { collection }) =>
    done(collection.move(found(collection.identified(source), 'ccErrInvalidCCache'), destination)),
  ccacheLock: cannotBlock,
  ccacheUnlock: () => {
    throw new CCAPIError('ccErrCCacheUnlocked');
  },
  ccacheGetLastDefaultTime: ({ lastDefault }) => {
    if (lastDefault === 0) throw new CCAPIError('ccErrNeverDefault');
    return { time: lastDefault };
  },
  ccacheGetChangeTime: ({ changed }) => ({ time: changed }),
  ccacheWaitForChange: cannotBlock,
  ccacheGetKDCTimeOffset: ({ contents: { kdcOffset } }) => ({ offset: found(kdcOffset, 'ccErrTimeOffsetNotSet') }),
  ccacheSetKDCTimeOffset: (ccache, { offset }, { collection }) => done(collection.setKDCOffset(ccache, offset)),
  ccacheClearKDCTimeOffset: (ccache, _, { collection }) => done(collection.setKDCOffset(ccache, undefined)),

  ccacheIteratorRelease: ({ identifier }, _, { iterators }) => done(iterators.release(identifier.object)),
  ccacheIteratorNext: ({ walk }) => ({ ccache: found(walk.next(), 'ccIteratorEnd').identifier }),
  ccacheIteratorClone: ({ walk }, _, { iterators, owned }) => ({
    iterator: iterators.overCCaches(owned, walk.clone()).identifier,
  }),

  credentialsIteratorRelease: ({ identifier }, _, { iterators }) => done(iterators.release(identifier.object)),
  credentialsIteratorNext: ({ walk }) => {
    const { identifier, value } = found(walk.next(), 'ccIteratorEnd');
    return { identifier, credentials: value };
  },
  credentialsIteratorClone: ({ walk, list }, _, { iterators, owned }) => ({
    iterator: iterators.overCredentials(owned, list, walk.clone()).identifier,
  }),
};

/** Messages whose reply may have to wait are answered at once that they are not supported: nobody hangs. */
function cannotBlock(): never {
  throw new CCAPIError('notSupported', 'locks and waiting for changes are not supported');
}

function found<T>(
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

function done(_: unknown): Record<never, never> {
  return {};
}
