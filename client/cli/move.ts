import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, UsageError } from './command.ts';
import { findCCache, openCCache, parseCCacheName } from './open-ccache.ts';

export const move: Command = {
  synopsis: ['FROM TO'],
  about: `Moves the tickets of the ccache FROM into the ccache TO, in one step. What TO held is dropped; where there is no TO it is
made. FROM is gone then.`,
  offers: 'ccaches',
  example: 'ccapi move work home',

  async run(args) {
    const [from, to, ...more] = parseArgs({ args, options: {}, allowPositionals: true }).positionals;
    if (from === undefined || to === undefined || more.length > 0)
      throw new UsageError('expected the names FROM and TO');
    if (parseCCacheName(from) === parseCCacheName(to)) throw new UsageError('FROM and TO are the same ccache');
    await using context = new Context();
    const source = await openCCache(context, from);
    const target = await findCCache(context, parseCCacheName(to));
    await source.move(target ?? (await context.createCCache(parseCCacheName(to), await source.getPrincipal())));
  },
};
