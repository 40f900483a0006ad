import type { CCacheFile } from '../../proto/ccache-file.ts';
import { toCredentialV5 } from '../../proto/krb5-credential.ts';
import { unparsePrincipal } from '../../proto/principal.ts';
import { CCAPIError, type CCache, Context } from '../index.ts';
import { type Command, print, UsageError, warn } from './command.ts';
import { ccacheFiles, readFileCCache, residualArguments } from './file-ccaches.ts';
import { nameOf, ofPrincipal, openOrCreate } from './open-named.ts';
import { Progress } from './progress.ts';

/** How many credentials are on their way to the server at a time. */
const BATCH = 256;

export const importTickets: Command = {
  usage: `usage: ccapi import [-c NAME] FILE:PATH | DIR:PATH

Takes in the tickets of a FILE ccache, or of all those of a DIR. They replace what the ccache of the same principal
holds, or make a new one. A ccache is replaced in one step: nobody sees it half filled.

  -c NAME   into this ccache

  ccapi import FILE:/tmp/krb5cc_1000`,

  async run(args) {
    const { cache, residual } = residualArguments(args, 'FILE:PATH or DIR:PATH');
    const paths = ccacheFiles(residual);
    if (cache !== undefined && paths.length > 1) throw new UsageError('-c takes one ccache and not a DIR of several');
    await using context = new Context();
    let imported = 0;
    for (const path of paths) {
      const file = readFileCCache(path);
      if (file.tornBytes > 0)
        warn(`${path}: the last ${file.tornBytes} bytes are no whole credential; they are left out`);
      if (!file.principal) continue;
      const ccache = await importFile(context, file, cache);
      print(
        `${path}: ${file.credentials.length} credentials for ${unparsePrincipal(file.principal)} are now in API:${await ccache.getName()}`,
      );
      imported++;
    }
    if (imported === 0) throw new CCAPIError('ccErrCCacheNotFound', `${residual}: no ccache with a principal`);
  },
};

async function importFile(context: Context, file: CCacheFile, cache: string | undefined): Promise<CCache> {
  const principal = unparsePrincipal(file.principal as NonNullable<CCacheFile['principal']>);
  const target =
    cache === undefined ? await ofPrincipal(context, principal) : await openOrCreate(context, nameOf(cache), principal);
  const staging = await context.createNewCCache(principal);
  try {
    await fill(staging, file);
    if (!target) return staging;
    await staging.move(target);
    return target;
  } catch (error) {
    await staging.destroy().catch(() => {});
    throw error;
  }
}

async function fill(ccache: CCache, { credentials, kdcOffset }: CCacheFile): Promise<void> {
  const progress = new Progress('importing', credentials.length);
  for (let at = 0; at < credentials.length; at += BATCH) {
    await Promise.all(credentials.slice(at, at + BATCH).map((one) => ccache.storeCredentials(toCredentialV5(one))));
    progress.reached(at + BATCH);
  }
  progress.end();
  if (kdcOffset) await ccache.setKDCTimeOffset(kdcOffset.seconds);
}
