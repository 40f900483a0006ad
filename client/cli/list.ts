import { parseArgs } from 'node:util';
import { isConfigServer } from '../../proto/krb5-credential.ts';
import { CCAPIError, type CCache, Context, type CredentialV5 } from '../index.ts';
import { type Command, print, printable, UsageError } from './command.ts';
import { openNamed } from './open-named.ts';
import { listSessions } from './sessions.ts';

interface Listing {
  name: string;
  principal: string;
  credentials: CredentialV5[];
}

export const list: Command = {
  usage: `usage: ccapi list [-A | -c NAME | --sessions] [--all] [--json]

Shows the tickets of the default ccache as klist does.

  -A        of all ccaches
  -c NAME   of this ccache
  --sessions  the ccaches of all your login sessions, where each has its own (scope = session)
  --all     with libkrb5's notes to itself (X-CACHECONF), which are no tickets
  --json    as JSON; times are seconds since 1970, 0 for "not set"

  ccapi list -A`,

  async run(args) {
    const options = {
      every: { type: 'boolean', short: 'A' },
      all: { type: 'boolean' },
      cache: { type: 'string', short: 'c' },
      json: { type: 'boolean' },
      sessions: { type: 'boolean' },
    } as const;
    const { values } = parseArgs({ args, options });
    if (values.sessions) {
      if (values.every || values.cache !== undefined) throw new UsageError('--sessions goes with neither -A nor -c');
      return listSessions(values.json ?? false);
    }
    await using context = new Context();
    const listings = await Promise.all(
      (await chosen(context, values)).map((ccache) => read(ccache, values.all ?? false)),
    );
    if (values.json) print(JSON.stringify(listings.map(forJSON), null, 2));
    else if (listings.length === 0) throw new CCAPIError('ccErrCCacheNotFound', 'no credentials cache found');
    else print(listings.map(asText).join('\n\n'));
  },
};

/** The ccaches to show. That there is no default one is an empty list; that a named one is not there is an error. */
async function chosen(context: Context, { every, cache }: { every?: boolean; cache?: string }): Promise<CCache[]> {
  const ccaches: CCache[] = [];
  if (cache !== undefined) return [await openNamed(context, cache)];
  for await (const ccache of context.ccaches()) {
    ccaches.push(ccache);
    if (!every) break;
  }
  return ccaches;
}

async function read(ccache: CCache, notesToo: boolean): Promise<Listing> {
  const [name, principal] = await Promise.all([ccache.getName(), ccache.getPrincipal()]);
  const credentials: CredentialV5[] = [];
  for await (const { data } of ccache.credentials()) {
    if (notesToo || !isConfigServer(data.server)) credentials.push(data);
  }
  return { name, principal, credentials };
}

function asText({ name, principal, credentials }: Listing): string {
  const lines = [`Ticket cache: API:${name}`, `Default principal: ${principal}`, ''];
  lines.push(`${'Valid starting'.padEnd(21)}${'Expires'.padEnd(21)}Service principal`);
  for (const { authtime, starttime, endtime, renewTill, client, server } of credentials) {
    lines.push(`${time(starttime || authtime)}  ${time(endtime)}  ${server}`);
    const details = [
      ...(client === principal ? [] : [`for client ${client}`]),
      ...(renewTill ? [`renew until ${time(renewTill)}`] : []),
    ];
    if (details.length > 0) lines.push(`\t${details.join(', ')}`);
  }
  return lines.map(printable).join('\n');
}

/** Everything but what opens the service's door: no key, no ticket. */
function forJSON({ name, principal, credentials }: Listing) {
  return {
    name,
    principal,
    credentials: credentials.map(
      ({ client, server, authtime, starttime, endtime, renewTill, ticketFlags, keyblock, isSkey }) => ({
        client,
        server,
        authtime,
        starttime,
        endtime,
        renewTill,
        ticketFlags,
        enctype: keyblock.type | 0,
        userToUser: isSkey !== 0,
      }),
    ),
  };
}

/** The time of day here, in an order that nobody reads the other way round. */
function time(seconds: number): string {
  if (seconds === 0) return ' '.repeat(19);
  const date = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
