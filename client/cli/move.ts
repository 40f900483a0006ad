import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, UsageError } from './command.ts';
import { nameOf, openIfThere, openNamed } from './open-ccache.ts';

export const move: Command = {
  usage: `usage: ccapi move FROM TO

Moves the tickets of the ccache FROM into the ccache TO, in one step. What TO held is dropped; where there is no TO it is
made. FROM is gone then.

  ccapi move work home`,

  async run(args) {
    const [from, to, ...more] = parseArgs({ args, options: {}, allowPositionals: true }).positionals;
    if (from === undefined || to === undefined || more.length > 0)
      throw new UsageError('expected the names FROM and TO');
    if (nameOf(from) === nameOf(to)) throw new UsageError('FROM and TO are the same ccache');
    await using context = new Context();
    const source = await openNamed(context, from);
    const target = await openIfThere(context, nameOf(to));
    await source.move(target ?? (await context.createCCache(nameOf(to), await source.getPrincipal())));
  },
};
