import { parseArgs } from 'node:util';
import { findExpired } from '../../proto/expiry.ts';
import { type CCache, Context, type Credentials } from '../index.ts';
import { skipIfGone } from './ccache-contents.ts';
import { type Command, print } from './command.ts';
import { iterateFinished } from './open-ccache.ts';

export const purge: Command = {
  synopsis: [''],
  about: `Removes the tickets that have expired, and the ccaches of which nothing else is left. The server does so too, a while
later: see purge_expired.`,
  example: 'ccapi purge',

  async run(args) {
    parseArgs({ args, options: {} });
    await using context = new Context();
    const ccaches: CCache[] = [];
    for await (const ccache of iterateFinished(context)) ccaches.push(ccache);
    const now = Date.now() / 1000;
    const counts = await Promise.all(ccaches.map((ccache) => skipIfGone(() => purgeCCache(ccache, now))));
    const removed = counts.reduce<number>((total, count) => total + (count ?? 0), 0);
    print(`${removed} expired ${removed === 1 ? 'ticket' : 'tickets'} removed`);
  },
};

/** Returns how many tickets it has removed. */
async function purgeCCache(ccache: CCache, now: number): Promise<number> {
  const all: Credentials[] = [];
  for await (const credentials of ccache.credentials()) all.push(credentials);
  const { credentials: expired, isAll } = findExpired(all, ({ data }) => data, now);
  if (expired.length > 0 && isAll) await ccache.destroy();
  else await Promise.all(expired.map((credentials) => ccache.removeCredentials(credentials)));
  return expired.length;
}
