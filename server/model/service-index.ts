import type { CredentialV5 } from '../../proto/credential.ts';
import type { Data } from '../../proto/fields.ts';
import { isConfigServer } from '../../proto/krb5-credential.ts';
import { splitRealm } from '../../proto/principal.ts';

/** How many credentials for one service are looked through; beyond that they are indexed by more than that. */
const FEW = 16;

/** The credentials for one service, of which there are several. */
interface Several<T> {
  readonly all: Set<T>;
  /** By client and server, and by all that a purpose is; undefined while they are few. */
  more: { byPrincipals: Map<string, Set<T>>; byPurpose: Map<string, Set<T>> } | undefined;
}

interface Indexed {
  readonly value: CredentialV5;
}

/**
 * The credentials of a list by what they are for, each group in the order in which it was stored. Mostly there is one for
 * a service; then it stands in the index by itself.
 */
export class ServiceIndex<T extends Indexed> {
  readonly #byService = new Map<string, T | Several<T>>();

  add(member: T): void {
    const service = serviceOf(member.value);
    const found = this.#byService.get(service);
    if (!found) this.#byService.set(service, member);
    else if (isSeveral(found)) insert(found, member);
    else this.#byService.set(service, { all: new Set([found, member]), more: undefined });
  }

  /** Has to come before the member's value is overwritten. */
  remove(member: T): void {
    const service = serviceOf(member.value);
    const found = this.#byService.get(service);
    if (!found) return;
    if (!isSeveral(found)) {
      if (found === member) this.#byService.delete(service);
      return;
    }
    found.all.delete(member);
    if (found.all.size === 0) this.#byService.delete(service);
    if (!found.more) return;
    take(found.more.byPrincipals, principalsOf(member.value), member);
    take(found.more.byPurpose, purposeOf(member.value), member);
  }

  /** Those for a service, named without its realm. */
  forService(service: string): Iterable<T> {
    const found = this.#byService.get(service);
    return found === undefined ? [] : isSeveral(found) ? found.all : [found];
  }

  /** Those of a client for a server principal, among others where these are few. */
  forPrincipals(principals: Pick<CredentialV5, 'client' | 'server'>): Iterable<T> {
    const found = this.#byService.get(serviceOf(principals));
    if (found === undefined) return [];
    if (!isSeveral(found)) return [found];
    return found.more ? (found.more.byPrincipals.get(principalsOf(principals)) ?? []) : found.all;
  }

  /** Those that {@link isSamePurpose} says are for the same as a credential. */
  forPurpose(value: CredentialV5): T[] {
    const found = this.#byService.get(serviceOf(value));
    if (found === undefined) return [];
    if (!isSeveral(found)) return isSamePurpose(found.value, value) ? [found] : [];
    const candidates = found.more ? found.more.byPurpose.get(purposeOf(value)) : found.all;
    return candidates ? [...candidates].filter((candidate) => isSamePurpose(candidate.value, value)) : [];
  }
}

/**
 * Whether one credential takes the place of another (STORE, proto/KCM.md#operations): it is for the same purpose, or is a
 * configuration entry with the same key, whatever that says.
 */
function isSamePurpose(one: CredentialV5, other: CredentialV5): boolean {
  return (
    one.client === other.client &&
    one.server === other.server &&
    (isConfigServer(one.server) ||
      ((one.isSkey !== 0) === (other.isSkey !== 0) &&
        one.keyblock.type === other.keyblock.type &&
        one.secondTicket.data.equals(other.secondTicket.data) &&
        sameData(one.authdata, other.authdata)))
  );
}

/** Whether two lists have the same types and bytes in the same order. */
export function sameData(one: readonly Data[], other: readonly Data[]): boolean {
  return (
    one.length === other.length &&
    one.every(({ type, data }, i) => type === other[i]?.type && data.equals((other[i] as Data).data))
  );
}

function insert<T extends Indexed>(several: Several<T>, member: T): void {
  several.all.add(member);
  const added = several.more ? [member] : several.all.size > FEW ? several.all : [];
  for (const each of added) {
    several.more ??= { byPrincipals: new Map(), byPurpose: new Map() };
    put(several.more.byPrincipals, principalsOf(each.value), each);
    put(several.more.byPurpose, purposeOf(each.value), each);
  }
}

function put<T>(groups: Map<string, Set<T>>, key: string, member: T): void {
  const group = groups.get(key);
  if (group) group.add(member);
  else groups.set(key, new Set([member]));
}

function take<T>(groups: Map<string, Set<T>>, key: string, member: T): void {
  const group = groups.get(key);
  group?.delete(member);
  if (group?.size === 0) groups.delete(key);
}

/** The same text for the same purpose; that two purposes have one text is possible, and costs only a comparison. */
function purposeOf({ client, server, isSkey, keyblock, secondTicket, authdata }: CredentialV5): string {
  if (isConfigServer(server)) return principalsOf({ client, server });
  let sum = sumOf(secondTicket.data, 0x811c9dc5);
  for (const { type, data } of authdata) sum = sumOf(data, sum ^ type);
  return `${principalsOf({ client, server })}\n${isSkey !== 0}\n${keyblock.type}\n${authdata.length}\n${sum}`;
}

/** FNV-1a, 32 bits. */
function sumOf(bytes: Buffer, before: number): number {
  let sum = before;
  for (let at = 0; at < bytes.length; at++) sum = Math.imul(sum ^ (bytes[at] as number), 0x01000193);
  return sum;
}

function principalsOf({ client, server }: Pick<CredentialV5, 'client' | 'server'>): string {
  return `${client}\n${server}`;
}

function serviceOf({ server }: Pick<CredentialV5, 'server'>): string {
  return splitRealm(server).name;
}

function isSeveral<T>(found: T | Several<T>): found is Several<T> {
  return (found as Several<T>).all instanceof Set;
}
