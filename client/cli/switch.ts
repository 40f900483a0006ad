import { parseArgs } from 'node:util';
import { CCAPIError, Context } from '../index.ts';
import { type Command, UsageError } from './command.ts';
import { findByPrincipal, openCCache } from './open-ccache.ts';

export const switchDefault: Command = {
  usage: `usage: ccapi switch -c NAME | -p PRINCIPAL

Makes a ccache the default one.

  -c NAME        the ccache of this name
  -p PRINCIPAL   the ccache of this principal

  ccapi switch -p alice/admin@EXAMPLE.COM`,

  async run(args) {
    const options = { cache: { type: 'string', short: 'c' }, principal: { type: 'string', short: 'p' } } as const;
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
