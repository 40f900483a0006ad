import type { CredentialV5 } from '../proto/credential-v5.ts';
import { CCAPIError } from '../proto/error.ts';

/** How much of each a collection holds, or may hold. */
export interface Amounts {
  caches: number;
  credentials: number;
  bytes: number;
}

/** What limits are set by, for the log. */
const settingNames: Record<keyof Amounts, string> = {
  caches: 'max_caches',
  credentials: 'max_credentials',
  bytes: 'max_bytes',
};

/** What a credential takes beside its texts and data, in bytes. */
const OVERHEAD = 400;

/** How many bytes a credential is counted as. */
export function sizeOf({ client, server, keyblock, addresses, authdata, ticket, secondTicket }: CredentialV5): number {
  let size = OVERHEAD + client.length + server.length;
  for (const { data } of [keyblock, ticket, secondTicket, ...addresses, ...authdata]) size += data.length;
  return size;
}

/** Keeps count of what a collection holds, and of what it may. */
export class Limits {
  readonly held: Amounts = { caches: 0, credentials: 0, bytes: 0 };
  most: Amounts = { caches: Infinity, credentials: Infinity, bytes: Infinity };
  /** Told once of each limit that is met, until there is room again. */
  onMet: (message: string) => void = () => {};
  readonly #met = new Set<keyof Amounts>();

  /** Counts what has come or, negative, gone. */
  count({ caches = 0, credentials = 0, bytes = 0 }: Partial<Amounts>): void {
    this.held.caches += caches;
    this.held.credentials += credentials;
    this.held.bytes += bytes;
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

  #lacking(more: Partial<Amounts>): keyof Amounts | undefined {
    const kinds = ['caches', 'credentials', 'bytes'] as const;
    return kinds.find((kind) => (more[kind] ?? 0) > 0 && this.held[kind] + (more[kind] as number) > this.most[kind]);
  }
}
