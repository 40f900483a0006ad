import { CCAPIError, type CCache, type Context } from '../index.ts';

/** The name of a ccache as a person gives it: `NAME`, or `API:NAME` as the Kerberos programs write it. */
export function nameOf(text: string): string {
  return text.replace(/^API:/, '');
}

/** The ccache that `-c` names, or else the default one; the error says which there is not. */
export async function openNamed(context: Context, text: string | undefined): Promise<CCache> {
  try {
    return text === undefined ? await context.openDefaultCCache() : await context.openCCache(nameOf(text));
  } catch (error) {
    if (!CCAPIError.is(error, 'ccErrCCacheNotFound')) throw error;
    const what =
      text === undefined ? 'no credentials cache found' : `there is no ccache ${JSON.stringify(nameOf(text))}`;
    throw new CCAPIError('ccErrCCacheNotFound', what, { cause: error });
  }
}
