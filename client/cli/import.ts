import type { CCacheFile } from '../../proto/ccache-file.ts';
import { toCredentialV5 } from '../../proto/krb5-credential.ts';
import { type Principal, unparsePrincipal } from '../../proto/principal.ts';
import { CCAPIError, Context } from '../index.ts';
import { type CCacheContents, importCCache } from './ccache-contents.ts';
import { type Command, cacheOption, print, UsageError, warn } from './command.ts';
import { ccacheFiles, readFileCCache, residualArguments } from './file-ccaches.ts';

export const importTickets: Command = {
  synopsis: ['[-c NAME] FILE:PATH | DIR:PATH'],
  about: `Takes in the tickets of a FILE ccache, or of all those of a DIR. They replace what the ccache of the same principal
holds, or make a new one. A ccache is replaced in one step: no program sees it half filled.`,
  options: cacheOption('into this ccache'),
  offers: ['FILE:', 'DIR:'],
  example: 'ccapi import FILE:/tmp/krb5cc_1000',

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
      const contents = contentsOfFile(file, file.principal);
      const ccache = await importCCache(context, contents, cache);
      const { principal, credentials } = contents;
      print(`${path}: ${credentials.length} credentials for ${principal} are now in KCM:${await ccache.getName()}`);
      imported++;
    }
    if (imported === 0) throw new CCAPIError('ccErrCCacheNotFound', `${residual}: no ccache with a principal`);
  },
};

function contentsOfFile({ credentials, kdcOffset }: CCacheFile, principal: Principal): CCacheContents {
  return {
    principal: unparsePrincipal(principal),
    kdcOffset: kdcOffset?.seconds,
    credentials: credentials.map(toCredentialV5),
  };
}
