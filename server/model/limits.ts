import type { CredentialV5 } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import { MAX_PRINCIPAL } from '../../proto/principal.ts';

/** A list of credentials, as far as limits count it. */
interface Counted {
  readonly size: number;
  readonly bytes: number;
}

/** How much of each a collection holds, or may hold. */
export interface Amounts {
  caches: number;
  credentials: number;
  bytes: number;
}

/** The longest name of a ccache, in characters. */
export const MAX_NAME = 4096;

/** Returns the name of a ccache that is to be made. Throws 211 (`ccErrBadName`) for one that is too long. */
export function requireName(name: string): string {
  if (name.length <= MAX_NAME) return name;
  throw new CCAPIError('ccErrBadName', `a name of ${name.length} characters is above the limit of ${MAX_NAME}`);
}

/** Returns the text of a principal. Throws 202 (`ccErrBadParam`) for one that is too long. */
export function requirePrincipal(text: string): string {
  if (text.length <= MAX_PRINCIPAL) return text;
  throw new CCAPIError('ccErrBadParam', `a principal of ${text.length} characters is above ${MAX_PRINCIPAL}`);
}

/** What limits are set by, for the log. */
const settingNames: Record<keyof Amounts, string> = {
  caches: 'max_caches',
  credentials: 'max_credentials',
  bytes: 'max_bytes',
};

const kinds = ['caches', 'credentials', 'bytes'] as const;

/** What a credential takes beside its texts and data, in bytes. */
const OVERHEAD = 400;

/** How many bytes a credential is counted as. */
export function sizeOf({ client, server, keyblock, addresses, authdata, ticket, secondTicket }: CredentialV5): number {
  let size = OVERHEAD + client.length + server.length;
  size += keyblock.data.length + ticket.data.length + secondTicket.data.length;
  for (const { data } of addresses) size += data.length;
  for (const { data } of authdata) size += data.length;
  return size;
}

/** What a list of credentials adds to what is held. */
export function amountsOf({ size, bytes }: Counted): Pick<Amounts, 'credentials' | 'bytes'> {
  return { credentials: size, bytes };
}

/** Keeps count of what a collection holds, and of what it may. */
export class Limits {
  readonly held: Amounts = { caches: 0, credentials: 0, bytes: 0 };
  most: Amounts = { caches: Infinity, credentials: Infinity, bytes: Infinity };
  /** Told once of each limit that is met, until there is room again. */
  onMet: (message: string) => void = () => {};
  readonly #met = new Set<keyof Amounts>();

  /** Counts a list of credentials in, with the ccache that it is of where that is new. */
  add(list: Counted, caches: 0 | 1 = 0): void {
    this.#count({ caches, ...amountsOf(list) }, 1);
  }

  /** Counts it out. */
  release(list: Counted, caches: 0 | 1 = 0): void {
    this.#count({ caches, ...amountsOf(list) }, -1);
    for (const kind of this.#met) if (this.held[kind] < this.most[kind]) this.#met.delete(kind);
  }

  /** Whether so much more may come. */
  hasRoomFor(more: Partial<Amounts>): boolean {
    return this.#lacking(more) === undefined;
  }

  /** Throws 203 (`ccErrNoMem`), naming the setting, where so much more may not come. */
  require(more: Partial<Amounts>): void {
    const kind = this.#lacking(more);
    if (kind === undefined) return;
    const message = `${settingNames[kind]} = ${this.most[kind]} is reached`;
    if (!this.#met.has(kind)) this.onMet(message);
    this.#met.add(kind);
    throw new CCAPIError('ccErrNoMem', message);
  }

  #count(amounts: Amounts, sign: 1 | -1): void {
    for (const kind of kinds) this.held[kind] += sign * amounts[kind];
  }

  #lacking(more: Partial<Amounts>): keyof Amounts | undefined {
    return kinds.find((kind) => (more[kind] ?? 0) > 0 && this.held[kind] + (more[kind] as number) > this.most[kind]);
  }
}
