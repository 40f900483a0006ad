import { isDeepStrictEqual } from 'node:util';
import { CCAPIError, type ErrorName } from '../../proto/errors.ts';
import type { Identifier } from '../../proto/identifier.ts';
import type { OperationName, OperationReply, OperationRequest } from '../../proto/kcm.ts';
import { credentialV5In, fromCredentialV5, marshalled } from '../../proto/krb5-credential.ts';
import { type Principal, parsePrincipal, unparsePrincipal } from '../../proto/principal.ts';
import type { CCache, Contents } from '../model/ccache.ts';
import type { Collection } from '../model/collection.ts';
import type { CredentialList, StoredCredential } from '../model/credential-list.ts';
import { findMatches } from './kcm-matching.ts';
import type { KCMNames } from './kcm-names.ts';

/** What the handlers act on. */
export interface KCMContext {
  readonly collection: Collection;
  readonly names: KCMNames;
}

type Handlers = {
  readonly [Name in OperationName]: (request: OperationRequest<Name>, context: KCMContext) => OperationReply<Name>;
};

/** From this offset of the clocks on, in seconds, libkrb5 has to be made to ask for it (proto/KCM.md#kdc-offset). */
const SIGNIFICANT_OFFSET = 60;

/** What the server does for each operation (proto/KCM.md#operations). A handler throws its error. */
export const kcmHandlers: Handlers = {
  noop: () => ({}),
  getName: ({ name }, { names }) => ({ name: requireCCache(names.resolve(name)).name }),
  resolve: () => ({}),
  genNew: (_, { names }) => ({ name: names.fresh() }),
  initialize: ({ name, principal }, { collection, names }) => {
    collection.replace(names.canonical(name), contentsFor(collection, principal, 0));
    return {};
  },
  destroy: ({ name }, { collection, names }) => {
    const ccache = names.resolve(name);
    if (!ccache && collection.awaitedDefault === name) collection.awaitDefault(undefined);
    collection.destroy(requireCCache(ccache));
    return {};
  },
  store: ({ name, credential }, { collection, names }) => {
    const ccache = requireCCache(names.resolve(name));
    const stored = credentialV5In(credential);
    collection.store(ccache, stored, ccache.contents.credentials.findReplaced(stored), credential);
    return {};
  },
  retrieve: ({ name, flags, matching }, { names }) => {
    const { contents } = requireCCache(names.resolve(name));
    const offset = (contents.kdcOffset ?? 0) | 0;
    // A client that finds its tickets by RETRIEVE never asks for the offset; sent to look for itself, it does.
    if (Math.abs(offset) >= SIGNIFICANT_OFFSET) throw new CCAPIError('KRB5_CC_NOSUPP');
    for (const stored of findMatches(contents.credentials, matching, flags)) {
      const credential = asMarshalled(stored);
      if (credential) return { credential };
    }
    throw notFound;
  },
  getPrincipal: ({ name }, { names }) => ({
    principal: require(principalOf(requireCCache(names.resolve(name)).contents)),
  }),
  getCredUUIDList: ({ name }, { names }) => ({
    uuids: readable(requireCCache(names.resolve(name)).contents.credentials).map(({ identifier }) =>
      uuidOf(identifier),
    ),
  }),
  getCredByUUID: ({ name, uuid }, { names }) => {
    const stored = requireCCache(names.resolve(name)).contents.credentials.find(objectOf(uuid));
    return { credential: require(stored && asMarshalled(stored), 'KRB5_CC_END') };
  },
  removeCred: ({ name, flags, matching }, { collection, names }) => {
    const ccache = requireCCache(names.resolve(name));
    const found = [...findMatches(ccache.contents.credentials, matching, flags)];
    if (found.length === 0) throw notFound;
    collection.remove(
      ccache,
      found.map(({ identifier }) => identifier),
    );
    return {};
  },
  setFlags: ({ name }, { names }) => {
    requireCCache(names.resolve(name));
    return {};
  },
  moveCache: ({ name, to }, { collection, names }) => {
    collection.moveTo(requireCCache(names.resolve(name)), names.canonical(to));
    return {};
  },
  getCacheUUIDList: (_, { collection }) => ({
    uuids: [...collection].filter(({ contents }) => principalOf(contents)).map(({ identifier }) => uuidOf(identifier)),
  }),
  getCacheByUUID: ({ uuid }, { collection }) => {
    const ccache = collection.find({ server: collection.identifier.server, object: objectOf(uuid) });
    return { name: require(ccache, 'KRB5_CC_END').name };
  },
  getDefaultCache: (_, { names }) => ({ name: names.default }),
  setDefaultCache: ({ name }, { collection, names }) => {
    collection.awaitDefault(names.canonical(name));
    return {};
  },
  getKDCOffset: ({ name }, { names }) => ({ offset: requireCCache(names.resolve(name)).contents.kdcOffset ?? 0 }),
  setKDCOffset: ({ name, offset }, { collection, names }) => {
    collection.setKDCOffset(requireCCache(names.resolve(name)), offset >>> 0);
    return {};
  },
  getCredList: ({ name }, { names }) => ({
    credentials: readable(requireCCache(names.resolve(name)).contents.credentials).map(({ credential }) => credential),
  }),
  replace: ({ name, offset, principal, credentials }, { collection, names }) => {
    const contents = contentsFor(collection, principal, offset);
    for (const credential of credentials) {
      contents.credentials.append(credentialV5In(credential), 0, credential);
    }
    collection.replace(names.canonical(name), contents);
    return {};
  },
};

function contentsFor(collection: Collection, principal: Principal, offset: number): Contents {
  return {
    ...collection.emptyContents(unparsePrincipal(principal)),
    nameType: principal.nameType,
    kdcOffset: offset >>> 0,
  };
}

/** The principal as KCM has it; undefined where there is none, or one that only the CCAPI can make something of. */
function principalOf({ principal, nameType }: Contents): Principal | undefined {
  if (principal === '') return undefined;
  const parsed = orUndefined(() => parsePrincipal(principal));
  return parsed && nameType !== undefined ? { ...parsed, nameType } : parsed;
}

/** The credentials that can be put into KCM's form, each with its identifier. */
function readable(list: CredentialList): { identifier: Identifier; credential: Buffer }[] {
  const found: { identifier: Identifier; credential: Buffer }[] = [];
  for (const stored of list) {
    const credential = asMarshalled(stored);
    if (credential) found.push({ identifier: stored.identifier, credential });
  }
  return found;
}

/** The bytes of a credential in KCM's form, which it keeps if nothing is lost by them; undefined where there is no such form. */
function asMarshalled(stored: StoredCredential): Buffer | undefined {
  if (stored.marshalled) return stored.marshalled;
  const bytes = orUndefined(() => marshalled(fromCredentialV5(stored.value)));
  // The storage takes them for all of the credential, so they are not kept where they are not.
  if (bytes && isDeepStrictEqual(credentialV5In(bytes), stored.value)) stored.marshalled = bytes;
  return bytes;
}

/** What the CCAPI stored need not parse; to KCM it is not there. */
function orUndefined<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrBadParam')) return undefined;
    throw error;
  }
}

/** Every ticket that a program fetches is looked for here first: not to have it is no news, and its place is not looked up. */
const notFound = new CCAPIError('KRB5_CC_NOTFOUND');

function requireCCache(ccache: CCache | undefined): CCache {
  return require(ccache);
}

function require<T>(value: T | undefined, otherwise: ErrorName = 'KRB5_FCC_NOFILE'): T {
  if (value === undefined) throw new CCAPIError(otherwise);
  return value;
}

/** Our identifiers are UUIDs in text; KCM has their bytes. */
function uuidOf({ object }: Identifier): string {
  return object.replaceAll('-', '');
}

function objectOf(uuid: string): string {
  return uuid.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
