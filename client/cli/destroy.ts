import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, UsageError } from './command.ts';
import { openNamed } from './open-named.ts';

export const destroy: Command = {
  usage: `usage: ccapi destroy [-A | -c NAME]

Destroys the default ccache and the tickets in it.

  -A        all ccaches
  -c NAME   this ccache

  ccapi destroy -c work`,

  async run(args) {
    const options = { all: { type: 'boolean', short: 'A' }, cache: { type: 'string', short: 'c' } } as const;
    const { values } = parseArgs({ args, options });
    if (values.all && values.cache !== undefined) throw new UsageError('-A and -c exclude each other');
    await using context = new Context();
    if (!values.all) {
      await (await openNamed(context, values.cache)).destroy();
      return;
    }
    const destroyed: Promise<void>[] = [];
    for await (const ccache of context.ccaches()) destroyed.push(ccache.destroy());
    await Promise.all(destroyed);
  },
};
