import type { MessageName, messages, Reply, Request } from '../../proto/ccapi.ts';
import { requireV5 } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import type { Answer, Holder, Holding } from '../model/cancellation.ts';
import type { CCache } from '../model/ccache.ts';
import { type Collection, DEFAULT_NAME } from '../model/collection.ts';
import type { CCacheIterator, CredentialsIterator, Iterators } from '../model/iterators.ts';
import { heldIfUnfinished } from '../model/staging-ccaches.ts';

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
  readonly holdings: Set<Holding>;
}

/** What a handler returns whose reply may have to wait: it is told how to answer, once, now or later. */
export class Later<T> {
  readonly begin: (answer: Answer<T>) => void;

  constructor(begin: (answer: Answer<T>) => void) {
    this.begin = begin;
  }
}

/** The messages whose reply may have to wait (proto/CCAPI.md#messages). */
type BlockingMessage = 'contextWaitForChange' | 'contextLock' | 'ccacheLock' | 'ccacheWaitForChange';

type Handlers = {
  readonly [Name in MessageName]: (
    object: Objects[(typeof messages)[Name]['object']],
    request: Request<Name>,
    context: HandlerContext,
  ) => Reply<Name> | (Name extends BlockingMessage ? Later<Reply<Name>> : never);
};

/** What the server does for each message of the table (proto/CCAPI.md#messages). A handler throws its error. */
export const handlers: Handlers = {
  contextUnusedRelease: () => ({}),
  contextSync: (collection) => ({ collection: collection.identifier }),
  contextGetChangeTime: (collection) => ({ time: collection.changed }),
  contextWaitForChange: waitForChange,
  contextGetDefaultCCacheName: (collection) => ({ name: collection.default?.name ?? DEFAULT_NAME }),
  contextOpenCCache: (collection, { name }) => ({ ccache: found(collection.named(name)).identifier }),
  contextOpenDefaultCCache: (collection) => ({ ccache: found(collection.default).identifier }),
  contextCreateCCache: (collection, { name, version, principal }, holder) => ({
    ccache: heldIfUnfinished(collection.create(name, version, principal), collection, holder).identifier,
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
  contextLock: lock,
  contextUnlock: (collection, _, holder) => done(collection.lock.unlock(holder)),

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
  ccacheRemoveCredentials: (ccache, { credentials }, { collection }) => done(collection.remove(ccache, [credentials])),
  ccacheNewCredentialsIterator: ({ contents }, _, { iterators, owned }) => ({
    iterator: iterators.overCredentials(owned, contents.credentials, contents.credentials.walk()).identifier,
  }),
  ccacheMove: (destination, { source }, { collection }) =>
    done(collection.move(found(collection.identified(source), 'ccErrInvalidCCache'), destination)),
  ccacheLock: lock,
  ccacheUnlock: (ccache, _, holder) => done(ccache.lock.unlock(holder)),
  ccacheGetLastDefaultTime: ({ lastDefault }) => {
    if (lastDefault === 0) throw new CCAPIError('ccErrNeverDefault');
    return { time: lastDefault };
  },
  ccacheGetChangeTime: ({ changed }) => ({ time: changed }),
  ccacheWaitForChange: waitForChange,
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

/** Any block word but 0 blocks (proto/CCAPI.md#locks). */
function lock(object: Collection | CCache, { type, block }: Request<'contextLock'>, holder: Holder) {
  return new Later<Reply<'contextLock'>>((answer) => {
    object.lock.lock(holder, type, block !== 0, (outcome) => answer('error' in outcome ? outcome : { result: {} }));
  });
}

/** What has changed since the caller looked is answered at once (proto/CCAPI.md#waiting). */
function waitForChange(object: Collection | CCache, { last }: Request<'contextWaitForChange'>, holder: Holder) {
  if (last < object.changed) return { time: object.changed };
  return new Later<Reply<'contextWaitForChange'>>((answer) => {
    object.waiters.add(holder, (outcome) =>
      answer('error' in outcome ? outcome : { result: { time: outcome.result } }),
    );
  });
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
