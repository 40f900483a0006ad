import { parseArgs } from 'node:util';
import type { CCacheFile, ReadCCacheFile } from '../../proto/ccache-file.ts';
import { toCredentialV5 } from '../../proto/krb5-credential.ts';
import { type Principal, unparsePrincipal } from '../../proto/principal.ts';
import { CCAPIError, Context } from '../index.ts';
import { type CCacheContents, importCCache } from './ccache-contents.ts';
import { type Command, cacheOption, type Options, UsageError, warn } from './command.ts';
import { ccacheFiles, onlyResidual, readFileCCache } from './file-ccaches.ts';
import { Outcome } from './outcome.ts';

const options = {
  ...cacheOption('into this ccache'),
  json: { type: 'boolean', summary: 'as JSON', help: 'says as JSON which ccaches have arrived' },
} as const satisfies Options;

export const importTickets: Command = {
  synopsis: ['[-c NAME] [--json] FILE:PATH | DIR:PATH'],
  about: `Takes in the tickets of a FILE ccache, or of all those of a DIR. They replace what the ccache of the same principal
holds, or make a new one; of several in a DIR for one principal each gets its own. A ccache is replaced in one step: no
program sees it half filled. Files that cannot be read are named and passed over; then it exits with 1.`,
  options,
  offers: ['FILE:', 'DIR:'],
  example: 'ccapi import FILE:/tmp/krb5cc_1000',

  async run(args) {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const { cache, json } = values;
    const residual = onlyResidual(positionals, 'FILE:PATH or DIR:PATH');
    const paths = ccacheFiles(residual);
    if (cache !== undefined && paths.length > 1) throw new UsageError('-c takes one ccache and not a DIR of several');
    using outcome = new Outcome(json);
    await using context = new Context();
    const imported = new Set<string>();
    for (const path of paths) {
      const file = paths.length > 1 ? readOrWarn(path) : readFileCCache(path);
      if (!file?.principal) continue;
      warnOfLeftOut(path, file);
      const contents = contentsOfFile(file, file.principal);
      const { principal, credentials } = contents;
      const ccache = await importCCache(context, contents, cache, imported.has(principal));
      const name = await ccache.getName();
      outcome.add(
        { path, principal, name, credentials: credentials.length },
        `${path}: ${credentials.length} credentials for ${principal} are now in KCM:${name}`,
      );
      imported.add(principal);
    }
    if (imported.size === 0) throw new CCAPIError('ccErrCCacheNotFound', `${residual}: no ccache with a principal`);
  },
};

/** One bad file does not keep the others out. */
function readOrWarn(path: string): ReadCCacheFile | undefined {
  try {
    return readFileCCache(path);
  } catch (error) {
    warn(`${(error as Error).message}; it is left out`);
    process.exitCode = 1;
    return undefined;
  }
}

function warnOfLeftOut(path: string, { tornBytes, removed }: ReadCCacheFile): void {
  if (tornBytes > 0) warn(`${path}: the last ${tornBytes} bytes are no whole credential; they are left out`);
  if (removed > 0) warn(`${path}: ${removed} entries are marked as removed; they are left out`);
}

function contentsOfFile({ credentials, kdcOffset }: CCacheFile, principal: Principal): CCacheContents {
  return {
    principal: unparsePrincipal(principal),
    kdcOffset: kdcOffset?.seconds,
    credentials: credentials.map(toCredentialV5),
  };
}
