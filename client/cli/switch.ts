import { parseArgs } from 'node:util';
import { CCAPIError, Context } from '../index.ts';
import { type Command, cacheOption, type Options, UsageError } from './command.ts';
import { findByPrincipal, openCCache } from './open-ccache.ts';

const options = {
  ...cacheOption('the ccache of this name'),
  principal: { type: 'string', short: 'p', value: 'PRINCIPAL', summary: 'the ccache of this principal' },
} as const satisfies Options;

export const switchDefault: Command = {
  synopsis: ['-c NAME | -p PRINCIPAL'],
  about: `Makes a ccache the default one.`,
  options,
  example: 'ccapi switch -p alice/admin@EXAMPLE.COM',

  async run(args) {
    const { cache, principal } = parseArgs({ args, options }).values;
    if ((cache === undefined) === (principal === undefined)) throw new UsageError('expected -c NAME or -p PRINCIPAL');
    await using context = new Context();
    const ccache =
      principal === undefined ? await openCCache(context, cache) : await findByPrincipal(context, principal);
    if (!ccache)
      throw new CCAPIError(
        'ccErrCCacheNotFound',
        `there is no ccache for ${JSON.stringify(principal)}; ccapi list -l shows all`,
      );
    await ccache.setDefault();
  },
};
