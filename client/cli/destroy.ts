import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, UsageError } from './command.ts';
import { iterateFinished, openCCache } from './open-ccache.ts';
import { endSession } from './sessions.ts';

export const destroy: Command = {
  usage: `usage: ccapi destroy [-A | -c NAME | --session [SESSION]]

Destroys the default ccache and the tickets in it.

  -A        all ccaches
  -c NAME   this ccache
  --session  all of this login session, or of the one that is named, and its server leaves (scope = session)

  ccapi destroy -c work`,

  async run(args) {
    const options = {
      all: { type: 'boolean', short: 'A' },
      cache: { type: 'string', short: 'c' },
      session: { type: 'boolean' },
    } as const;
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
