import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, cacheOption, type Options, UsageError } from './command.ts';
import { iterateFinished, openCCache } from './open-ccache.ts';
import { endSession } from './sessions.ts';

const options = {
  all: { type: 'boolean', short: 'A', summary: 'all ccaches' },
  ...cacheOption('this ccache'),
  session: {
    type: 'boolean',
    summary: 'all of a login session',
    help: 'all of this login session, or of the one that is named, and its server leaves (scope = session)',
  },
} as const satisfies Options;

export const destroy: Command = {
  synopsis: ['[-A | -c NAME | --session [SESSION]]'],
  about: `Destroys the default ccache and the tickets in it.`,
  options,
  example: 'ccapi destroy -c work',

  async run(args) {
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [session, ...more] = positionals;
    const ways = [values.all, values.cache !== undefined, values.session].filter(Boolean);
    if (ways.length > 1) throw new UsageError('-A, -c and --session exclude each other');
    if (more.length > 0 || (session !== undefined && !values.session)) throw new UsageError('expected no argument');
    if (values.session) return endSession(session);
    await using context = new Context();
    if (!values.all) {
      await (await openCCache(context, values.cache)).destroy();
      return;
    }
    const destroyed: Promise<void>[] = [];
    for await (const ccache of iterateFinished(context)) destroyed.push(ccache.destroy());
    await Promise.all(destroyed);
  },
};
