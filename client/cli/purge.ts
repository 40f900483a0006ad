import { parseArgs } from 'node:util';
import { findExpired } from '../../proto/expiry.ts';
import { type CCache, Context, type Credentials } from '../index.ts';
import { skipIfGone } from './ccache-contents.ts';
import { type Command, type Options, print, printJSON } from './command.ts';
import { iterateFinished } from './open-ccache.ts';

/** A ccache that something has been removed from. */
interface Purged {
  principal: string;
  name: string;
  /** How many tickets. */
  removed: number;
  /** Whether nothing else was left, and the ccache went with them. */
  destroyed: boolean;
}

const options = {
  json: { type: 'boolean', summary: 'as JSON', help: 'says as JSON of which ccaches how many' },
} as const satisfies Options;

export const purge: Command = {
  synopsis: ['[--json]'],
  about: `Removes the tickets that have expired, and the ccaches of which nothing else is left. The server does so too, a while
later: see purge_expired.`,
  options,
  example: 'ccapi purge',

  async run(args) {
    const { json } = parseArgs({ args, options }).values;
    await using context = new Context();
    const ccaches: CCache[] = [];
    for await (const ccache of iterateFinished(context)) ccaches.push(ccache);
    const now = Date.now() / 1000;
    const purged = await Promise.all(ccaches.map((ccache) => skipIfGone(() => purgeCCache(ccache, now))));
    const changed = purged.filter((one) => one !== undefined);
    const removed = changed.reduce((total, one) => total + one.removed, 0);
    if (json) printJSON(changed);
    else print(`${removed} expired ${removed === 1 ? 'ticket' : 'tickets'} removed`);
  },
};

/** Returns what it has removed; undefined where there was nothing to remove. */
async function purgeCCache(ccache: CCache, now: number): Promise<Purged | undefined> {
  const all: Credentials[] = [];
  for await (const credentials of ccache.credentials({ all: true })) all.push(credentials);
  const { credentials: expired, isAll: destroyed } = findExpired(all, ({ data }) => data, now);
  if (expired.length === 0) return undefined;
  const [principal, name] = await Promise.all([ccache.getPrincipal(), ccache.getName()]);
  if (destroyed) await ccache.destroy();
  else await Promise.all(expired.map((credentials) => ccache.removeCredentials(credentials)));
  return { principal, name, removed: expired.length, destroyed };
}
