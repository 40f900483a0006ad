import { parseArgs } from 'node:util';
import { isConfigServer } from '../../proto/krb5-credential.ts';
import { CCAPIError, type CCache, Context, type CredentialV5 } from '../index.ts';
import { readCCache, skipIfGone } from './ccache-contents.ts';
import {
  type Coloured,
  type Command,
  cacheOption,
  coloured,
  type Options,
  print,
  printJSON,
  UsageError,
} from './command.ts';
import { addressesText, enctypeText, flagsText, fromNow } from './format.ts';
import { iterateFinished, NO_CCACHE, openCCache } from './open-ccache.ts';
import { listSessions } from './sessions.ts';

interface Listing {
  name: string;
  principal: string;
  credentials: CredentialV5[];
}

const options = {
  every: { type: 'boolean', short: 'A', summary: 'all ccaches', help: 'of all ccaches' },
  short: {
    type: 'boolean',
    short: 'l',
    summary: 'all ccaches, a line each',
    help: 'all ccaches, a line each, the default one first',
  },
  ...cacheOption('of this ccache'),
  flags: { type: 'boolean', short: 'f', summary: 'with flags', help: "with their flags, by klist's letters" },
  enctypes: { type: 'boolean', short: 'e', summary: 'with enctypes', help: 'with the enctype of the session key' },
  addresses: {
    type: 'boolean',
    short: 'a',
    summary: 'with addresses',
    help: 'with the addresses that they may be used from',
  },
  silent: {
    type: 'boolean',
    short: 's',
    summary: 'only say by the exit status whether there is a ticket',
    help: 'nothing: exits with 0 where there is a ticket that has not expired, with 1 where not',
  },
  test: { type: 'boolean', short: 't', summary: 'the same as -s' },
  sessions: {
    type: 'boolean',
    summary: 'of all login sessions',
    help: 'the ccaches of all your login sessions, where each has its own (scope = session)',
  },
  all: {
    type: 'boolean',
    summary: "with libkrb5's notes",
    help: "with libkrb5's notes to itself (X-CACHECONF), which are no tickets",
  },
  json: { type: 'boolean', summary: 'as JSON', help: 'as JSON; times are seconds since 1970, 0 for "not set"' },
} as const satisfies Options;

export const list: Command = {
  synopsis: ['[-A | -l | -c NAME | --sessions] [-f] [-e] [-a] [--all] [--json]', '-s [-c NAME]'],
  about: `Shows the tickets of the default ccache as klist does.`,
  options,
  example: 'ccapi list -A',

  async run(args) {
    const { values } = parseArgs({ args, options });
    if (values.sessions) {
      if (values.every || values.cache !== undefined) throw new UsageError('--sessions goes with neither -A nor -c');
      return listSessions(values.json ?? false);
    }
    await using context = new Context();
    if (values.silent || values.test) {
      process.exitCode = (await hasTicket(context, values.cache)) ? 0 : 1;
      return;
    }
    const every = values.every || values.short;
    const read = (ccache: CCache) => readListing(ccache, values.all ?? false);
    const ccaches = await chooseCCaches(context, { every, cache: values.cache });
    const listings = every
      ? (await Promise.all(ccaches.map((ccache) => skipIfGone(() => read(ccache))))).flatMap((found) => found ?? [])
      : await Promise.all(ccaches.map(read));
    if (values.short && !values.json) {
      for (const line of shortList(listings)) print(line);
      return;
    }
    if (values.json) printJSON(listings.map(forJSON));
    else if (listings.length === 0) throw new CCAPIError('ccErrCCacheNotFound', NO_CCACHE);
    else
      for (const [i, listing] of listings.entries()) {
        if (i > 0) print('');
        for (const line of asText(listing, values)) print(line);
      }
  },
};

/** The ccaches to show. That there is no default one is an empty list; that a named one is not there is an error. */
async function chooseCCaches(
  context: Context,
  { every, cache }: { every: boolean | undefined; cache: string | undefined },
): Promise<CCache[]> {
  const ccaches: CCache[] = [];
  if (cache !== undefined) return [await openCCache(context, cache)];
  for await (const ccache of iterateFinished(context)) {
    ccaches.push(ccache);
    if (!every) break;
  }
  return ccaches;
}

async function readListing(ccache: CCache, notesToo: boolean): Promise<Listing> {
  const [name, { principal, credentials }] = await Promise.all([ccache.getName(), readCCache(ccache)]);
  return { name, principal, credentials: credentials.filter(({ server }) => notesToo || !isConfigServer(server)) };
}

type Line = string | Coloured;

/** What is shown of each ticket beside its times. */
interface Details {
  flags?: boolean;
  enctypes?: boolean;
  addresses?: boolean;
}

function asText({ name, principal, credentials }: Listing, shown: Details): Line[] {
  const now = Date.now() / 1000;
  const head = `${'Valid starting'.padEnd(21)}${'Expires'.padEnd(21)}Service principal`;
  const lines: Line[] = [`Ticket cache: KCM:${name}`, `Default principal: ${principal}`, '', head];
  for (const credential of credentials) {
    const { authtime, starttime, endtime, renewTill, client, server } = credential;
    const line = `${time(starttime || authtime)}  ${time(endtime)}  ${server}`;
    lines.push(isOver(endtime, now) ? coloured('red', line) : line);
    const details = [
      ...(client === principal ? [] : [`for client ${client}`]),
      ...(endtime ? [`expires ${fromNow(endtime, now)}`] : []),
      ...(renewTill ? [`renew until ${time(renewTill)}`] : []),
      ...(shown.flags ? [`flags ${flagsText(credential)}`] : []),
      ...(shown.enctypes ? [`session key ${enctypeText(credential)}`] : []),
      ...(shown.addresses ? [`addresses ${addressesText(credential)}`] : []),
    ];
    if (details.length > 0) lines.push(`        ${details.join(', ')}`);
  }
  return lines;
}

/** The ccaches, each with the time that is left to its ticket-granting ticket, or else to the last of its tickets. */
function shortList(listings: Listing[]): Line[] {
  const now = Date.now() / 1000;
  const width = listings.reduce((widest, { principal }) => Math.max(widest, principal.length), 20) + 2;
  return [
    `${'Principal'.padEnd(width)}${'Expires'.padEnd(14)}Ccache`,
    ...listings.map(({ name, principal, credentials }, i) => {
      const end = lastEnd(credentials);
      const left = end === undefined ? 'no ticket' : end === 0 ? 'no end' : fromNow(end, now);
      const line = `${principal.padEnd(width)}${left.padEnd(14)}KCM:${name}${i === 0 ? '  (default)' : ''}`;
      return end !== undefined && isOver(end, now) ? coloured('red', line) : line;
    }),
  ];
}

/** When the last of them ends, of ticket-granting tickets where there are any; 0 for none that ends. */
function lastEnd(credentials: CredentialV5[]): number | undefined {
  const granting = credentials.filter(({ server }) => server.startsWith('krbtgt/'));
  const those = granting.length > 0 ? granting : credentials;
  if (those.length === 0) return undefined;
  return those.reduce((last, { endtime }) => Math.max(last, endtime), 0);
}

/** Whether that time is past; 0 is none. */
function isOver(endtime: number, now: number): boolean {
  return endtime !== 0 && endtime <= now;
}

/** Whether a ccache has a ticket that has not expired, as `klist -s` says it; there need not be one. */
async function hasTicket(context: Context, cache: string | undefined): Promise<boolean> {
  try {
    const { credentials } = await readListing(await openCCache(context, cache), false);
    return credentials.some(({ endtime }) => endtime > Date.now() / 1000);
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrCCacheNotFound')) return false;
    throw error;
  }
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

/** The local time of day, year first: no reader takes the day for the month. */
function time(seconds: number): string {
  if (seconds === 0) return ' '.repeat(19);
  const date = new Date(seconds * 1000);
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}`;
  return `${day} ${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
}
