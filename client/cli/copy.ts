import { parseArgs } from 'node:util';
import { parseServerURI } from '../../etc/server-uri.ts';
import { type CCache, Context, type Credentials } from '../index.ts';
import { type Command, print, UsageError } from './command.ts';
import { nameOf, ofPrincipal, openNamed, openOrCreate } from './open-named.ts';
import { Progress } from './progress.ts';

/** How many credentials are on their way at a time. */
const BATCH = 256;

export const copy: Command = {
  usage: `usage: ccapi copy [-c NAME | --all] FROM TO

Copies ccaches from one credential-cache server to another. FROM and TO are "." for the one that the other commands use,
or unix:///PATH, ssh://[USER@]HOST[:PORT][/PATH/TO/ccapi], exec:COMMAND, inetd://HOST[:PORT]. What arrives takes the place
of the ccache of the same principal, or with -c of the same name, in one step: where it breaks off, nothing has changed.

  -c NAME   this ccache; without it the default one
  --all     all of them

  ccapi copy --all . ssh://host`,

  async run(args) {
    const options = { cache: { type: 'string', short: 'c' }, all: { type: 'boolean' } } as const;
    const { values, positionals } = parseArgs({ args, options, allowPositionals: true });
    const [from, to] = positionals;
    if (from === undefined || to === undefined || positionals.length > 2) throw new UsageError('expected FROM and TO');
    if (values.all && values.cache !== undefined) throw new UsageError('--all and -c exclude each other');
    await using source = new Context(at(from));
    await using destination = new Context(at(to));
    for (const ccache of await chosen(source, values)) {
      const arrived = await copied(ccache, destination, values.cache);
      print(
        `${await ccache.getPrincipal()}: ${arrived.count} credentials are now in API:${await arrived.ccache.getName()}`,
      );
    }
  },
};

function at(text: string): { env?: NodeJS.ProcessEnv } {
  if (text === '.') return {};
  if (!parseServerURI(text)) throw new UsageError(`${JSON.stringify(text)} is neither "." nor a URI of a server`);
  return { env: { ...process.env, CCAPI_SERVER: text } };
}

async function chosen(context: Context, { all, cache }: { all?: boolean; cache?: string }): Promise<CCache[]> {
  if (!all) return [await openNamed(context, cache)];
  const ccaches: CCache[] = [];
  for await (const ccache of context.ccaches()) ccaches.push(ccache);
  return ccaches;
}

async function copied(
  from: CCache,
  destination: Context,
  name: string | undefined,
): Promise<{ ccache: CCache; count: number }> {
  const principal = await from.getPrincipal();
  const staging = await destination.createNewCCache(principal);
  try {
    const count = await fill(staging, from);
    const target =
      name === undefined
        ? await ofPrincipal(destination, principal, staging)
        : await openOrCreate(destination, nameOf(name), principal);
    if (!target) return { ccache: staging, count };
    await staging.move(target);
    return { ccache: target, count };
  } catch (error) {
    await staging.destroy().catch(() => {});
    throw error;
  }
}

async function fill(to: CCache, from: CCache): Promise<number> {
  const all: Credentials[] = [];
  for await (const credentials of from.credentials()) all.push(credentials);
  const progress = new Progress('copying', all.length);
  for (let at = 0; at < all.length; at += BATCH) {
    await Promise.all(all.slice(at, at + BATCH).map(({ data }) => to.storeCredentials(data)));
    progress.reached(at + BATCH);
  }
  progress.end();
  const offset = await from.getKDCTimeOffset().catch(() => undefined);
  if (offset !== undefined) await to.setKDCTimeOffset(offset);
  return all.length;
}
