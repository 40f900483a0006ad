import type { CredentialV5 } from '../../proto/credential.ts';
import { type MatchingCredential, matchFlags } from '../../proto/kcm.ts';
import { splitRealm } from '../../proto/principal.ts';
import type { CredentialList, StoredCredential } from '../model/credential-list.ts';
import { sameData } from '../model/service-index.ts';

/** The credentials of a list that match, in the order in which they were stored (proto/KCM.md#matching-credentials). */
export function* findMatches(
  list: CredentialList,
  wanted: MatchingCredential,
  flags: number,
): Generator<StoredCredential> {
  const accepts = matcher(wanted, flags);
  for (const candidate of candidatesFor(list, wanted, flags)) if (accepts(candidate.value)) yield candidate;
}

/** As few of a list as the indexes can tell: all that match are among them. */
function candidatesFor(list: CredentialList, { client, server }: MatchingCredential, flags: number) {
  if (server === undefined) return list;
  const isExact = (flags & (matchFlags.dontMatchRealm | matchFlags.serverNameOnly)) === 0;
  return client !== undefined && isExact
    ? list.forPrincipals(client, server)
    : list.forService(splitRealm(server).name);
}

type Check = (credential: CredentialV5) => boolean;

/** The checks that a request asks for, put together once. Realms, flags and times only count where a flag says so. */
function matcher(wanted: MatchingCredential, flags: number): Check {
  const asks = (flag: number) => (flags & flag) !== 0;
  const anyRealm = asks(matchFlags.dontMatchRealm);
  const checks: Check[] = [];
  if (wanted.client !== undefined) {
    const isClient = samePrincipal(wanted.client, anyRealm);
    checks.push(({ client }) => isClient(client));
  }
  if (wanted.server !== undefined) {
    const isServer = samePrincipal(wanted.server, anyRealm || asks(matchFlags.serverNameOnly));
    checks.push(({ server }) => isServer(server));
  }
  const userToUser = asks(matchFlags.isSkey) && wanted.isSkey !== 0;
  // Without its flag only tickets that are not user-to-user match; MIT relies on it, and it stores 8 where it asks for 1.
  checks.push(({ isSkey }) => (isSkey !== 0) === userToUser);
  if (asks(matchFlags.flagsExact)) checks.push(({ ticketFlags }) => ticketFlags === wanted.ticketFlags);
  if (asks(matchFlags.flags))
    checks.push(({ ticketFlags }) => (ticketFlags & wanted.ticketFlags) >>> 0 === wanted.ticketFlags);
  if (asks(matchFlags.timesExact)) checks.push((credential) => sameTimes(credential, wanted));
  if (asks(matchFlags.times)) checks.push((credential) => lastsAsLong(credential, wanted));
  if (asks(matchFlags.authdata)) checks.push(({ authdata }) => sameData(authdata, wanted.authdata));
  if (asks(matchFlags.secondTicket)) checks.push(({ secondTicket }) => secondTicket.data.equals(wanted.secondTicket));
  if (asks(matchFlags.keytype)) checks.push(({ keyblock }) => keyblock.type === wanted.enctype);
  return (credential) => checks.every((check) => check(credential));
}

/** The name type is never compared. */
function samePrincipal(wanted: string, anyRealm: boolean): (text: string) => boolean {
  if (!anyRealm) return (candidate) => candidate === wanted;
  const { name } = splitRealm(wanted);
  return (candidate) => splitRealm(candidate).name === name;
}

function sameTimes(credential: CredentialV5, wanted: MatchingCredential): boolean {
  return (['authtime', 'starttime', 'endtime', 'renewTill'] as const).every(
    (name) => credential[name] === wanted[name],
  );
}

function lastsAsLong({ endtime, renewTill }: CredentialV5, wanted: MatchingCredential): boolean {
  return wanted.renewTill <= renewTill && wanted.endtime <= endtime;
}
