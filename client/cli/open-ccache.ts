import { isStaging } from '../../proto/staging.ts';
import { CCAPIError, type CCache, type Context } from '../index.ts';

/** That there is none at all. */
export const NO_CCACHE = 'there is no ccache; kinit makes one, or ccapi import';

/** The name of a ccache as a person gives it: `NAME`, or `API:NAME` or `KCM:NAME` as the Kerberos programs write it. */
export function parseCCacheName(text: string): string {
  return text.replace(/^(?:API|KCM):/, '');
}

/** The ccache that `-c` names, or else the default one; the error says which there is not. */
export async function openCCache(context: Context, text: string | undefined): Promise<CCache> {
  try {
    return text === undefined ? await context.openDefaultCCache() : await context.openCCache(parseCCacheName(text));
  } catch (error) {
    if (!CCAPIError.is(error, 'ccErrCCacheNotFound')) throw error;
    const none = `there is no ccache ${JSON.stringify(parseCCacheName(text ?? ''))}; ccapi list -l shows all`;
    throw new CCAPIError('ccErrCCacheNotFound', text === undefined ? NO_CCACHE : none, { cause: error });
  }
}

/** The ccaches, the default one first, without staging ones, which a client is still filling. */
export async function* iterateFinished(context: Context): AsyncGenerator<CCache, void, undefined> {
  for await (const ccache of context.ccaches()) if (await isFinished(ccache)) yield ccache;
}

async function isFinished(ccache: CCache): Promise<boolean> {
  try {
    return !isStaging(await ccache.getName());
  } catch (error) {
    // It went while it was looked at.
    if (CCAPIError.is(error, 'ccErrInvalidCCache')) return false;
    throw error;
  }
}

/** The first ccache of a principal, so the default one before others; undefined where there is none. */
export async function findByPrincipal(context: Context, principal: string): Promise<CCache | undefined> {
  for await (const ccache of iterateFinished(context)) if ((await ccache.getPrincipal()) === principal) return ccache;
  return undefined;
}

/** The ccache of this name; undefined where there is none. */
export async function findCCache(context: Context, name: string): Promise<CCache | undefined> {
  try {
    return await context.openCCache(name);
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrCCacheNotFound')) return undefined;
    throw error;
  }
}
