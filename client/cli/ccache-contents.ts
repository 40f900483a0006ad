import { CREDENTIALS_V5, type CredentialV5 } from '../../proto/credential.ts';
import { stagingName } from '../../proto/staging.ts';
import { CCAPIError, type CCache, type Context, type Credentials } from '../index.ts';
import { findByPrincipal, findCCache, iterateFinished, parseCCacheName } from './open-ccache.ts';
import { Progress } from './progress.ts';

/** How many credentials are on their way to a server at a time. */
const BATCH = 256;

/** How often it is begun anew where the server has ended meanwhile. */
const ATTEMPTS = 3;

/** How often a ccache may be begun anew while it is read. */
const READINGS = 100;

/** What a ccache holds, on its way from or to a server. */
export interface CCacheContents {
  principal: string;
  /** KDC clock minus client clock, in seconds. */
  kdcOffset: number | undefined;
  credentials: CredentialV5[];
}

/** Reads all of a ccache: the credentials are those of the principal, also while another program resets it. */
export function readCCache(ccache: CCache): Promise<CCacheContents> {
  return retryIfReset(async () => {
    // The iteration is over the credentials of this principal: it fails where the ccache is begun anew before its end.
    await using iterator = await ccache.newCredentialsIterator({ all: true });
    const [principal, kdcOffset, credentials] = await Promise.all([
      ccache.getPrincipal(),
      offsetOf(ccache),
      readCredentials(iterator),
    ]);
    return { principal, kdcOffset, credentials };
  });
}

async function readCredentials(iterator: AsyncIterable<Credentials>): Promise<CredentialV5[]> {
  const credentials: CredentialV5[] = [];
  for await (const { data } of iterator) credentials.push(data);
  return credentials;
}

/** Does something with what a ccache holds, anew where the ccache itself is begun anew meanwhile, as kinit does. */
async function retryIfReset<T>(act: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await act();
    } catch (error) {
      const isAnew = (['ccErrInvalidCredentialsIterator', 'ccErrInvalidCredentials'] as const).some((name) =>
        CCAPIError.is(error, name),
      );
      if (!isAnew || attempt === READINGS) throw error;
    }
  }
}

/** The same; undefined where the ccache is gone before that is done. */
export async function skipIfGone<T>(act: () => Promise<T>): Promise<T | undefined> {
  try {
    return await retryIfReset(act);
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrInvalidCCache')) return undefined;
    throw error;
  }
}

/**
 * Has a ccache hold just these contents: the one that `-c` names, made where there is none, or else the one of the same
 * principal, or a new one; with `isNew` always a new one. It happens in one step: no program sees it half filled, and an import that breaks off leaves nothing.
 */
export async function importCCache(
  context: Context,
  contents: CCacheContents,
  named: string | undefined,
  isNew = false,
): Promise<CCache> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await importInto(context, contents, named, isNew);
    } catch (error) {
      // What was being filled went with the connection, and all of it is still here.
      if (attempt === ATTEMPTS || !CCAPIError.is(error, 'ccErrInvalidCCache')) throw error;
    }
  }
}

async function importInto(
  context: Context,
  contents: CCacheContents,
  named: string | undefined,
  isNew: boolean,
): Promise<CCache> {
  const { principal } = contents;
  const find = () =>
    named === undefined ? findByPrincipal(context, principal) : findCCache(context, parseCCacheName(named));
  const existing = isNew ? undefined : await find();
  const staging = await context.createCCache(stagingName(), principal);
  try {
    await fill(staging, contents);
    const target =
      existing ??
      (await (named === undefined
        ? createUnnamed(context, principal)
        : context.createCCache(parseCCacheName(named), principal)));
    await staging.move(target);
    return target;
  } catch (error) {
    await staging.destroy().catch(() => {});
    throw error;
  }
}

/** The first ccache gets the name that KCM's clients look for, which has no blanks; the others get one of their own. */
async function createUnnamed(context: Context, principal: string): Promise<CCache> {
  for await (const _ of iterateFinished(context)) return context.createNewCCache(principal);
  return context.createCCache(String(process.geteuid?.()), principal);
}

async function fill(ccache: CCache, { credentials, kdcOffset }: CCacheContents): Promise<void> {
  const progress = new Progress('storing', credentials.length);
  for (let at = 0; at < credentials.length; at += BATCH) {
    await Promise.all(credentials.slice(at, at + BATCH).map((one) => ccache.storeCredentials(one)));
    progress.show(at + BATCH);
  }
  progress.end();
  if (kdcOffset !== undefined) await ccache.setKDCTimeOffset(kdcOffset);
}

async function offsetOf(ccache: CCache): Promise<number | undefined> {
  try {
    return await ccache.getKDCTimeOffset(CREDENTIALS_V5);
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrTimeOffsetNotSet')) return undefined;
    throw error;
  }
}
