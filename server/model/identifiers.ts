import { closeSync, openSync, readSync } from 'node:fs';
import type { Identifier } from '../../proto/identifier.ts';

/** What names the credentials of one list: they are numbered in the order in which they were stored. */
export interface ListIdentity {
  /** Tells the list from every other of this server. */
  readonly listId: number;
  /** The identifier of the credential with this number, the same whenever it is asked for. */
  credential(index: number): Identifier;
  /** The inverse, by the object part; undefined for what is none of this list's. */
  indexOf(object: string): number | undefined;
}

/** Where a collection takes its identifiers from. None is given out twice. */
export interface IdentifierSource {
  /** The part that every identifier of this server carries. */
  readonly server: string;
  /** Names the collection itself. */
  collection(): Identifier;
  /** Names a ccache. */
  ccache(): Identifier;
  /** Names the credentials of a new list. */
  list(): ListIdentity;
  /** Names what does not outlive this process, such as an iterator. */
  transient(): Identifier;
}

/** What an {@link Identifiers} has to be told to go on where another left off. */
interface IdentifierState {
  /** The server's part, a UUID. */
  server: string;
  /** The 8 hexadecimal digits with which the objects' parts begin. */
  seed: string;
  /** How many ccaches and lists have been named. */
  ccaches: number;
  lists: number;
}

/** Lists are numbered below this, and what passes with a process above. */
const PASSING = 2 ** 39;

/** More numbers than a collection gives out; an identifier has room for twice as many and more. */
export const MAX_LISTS = 2 ** 38;
export const MAX_CCACHES = 2 ** 46;

/**
 * Identifiers in the form of random (version 4) UUIDs, as MIT's are: 32 bits of the server, 40 that tell what the object
 * belongs to (0 for ccaches, a list's number, or a random one for what passes with this process), and a count of 48.
 */
export class Identifiers implements IdentifierSource {
  readonly server: string;
  readonly #seed: string;
  readonly #collection: string;
  readonly #passing: string;
  #ccaches: number;
  #lists: number;
  #passed = 0;

  constructor(state: IdentifierState = newState()) {
    ({ server: this.server, seed: this.#seed, ccaches: this.#ccaches, lists: this.#lists } = state);
    this.#collection = this.#prefix(0);
    this.#passing = this.#prefix(PASSING + (randomBytes(5).readUIntBE(0, 5) % PASSING));
  }

  get state(): IdentifierState {
    return { server: this.server, seed: this.#seed, ccaches: this.#ccaches, lists: this.#lists };
  }

  collection(): Identifier {
    return this.ccacheIdentifier(0);
  }

  ccache(): Identifier {
    return this.ccacheIdentifier(++this.#ccaches);
  }

  /** The identifier of a ccache that was named before. */
  ccacheIdentifier(number: number): Identifier {
    return this.#identifier(this.#collection, number);
  }

  list(): ListIdentity {
    return this.listIdentity(++this.#lists);
  }

  /** The identity of a list that was named before. */
  listIdentity(listId: number): ListIdentity {
    const prefix = this.#prefix(listId);
    return {
      listId,
      credential: (index) => this.#identifier(prefix, index),
      indexOf: (object) => {
        const index = object.startsWith(prefix) ? Number.parseInt(object.slice(prefix.length), 16) : Number.NaN;
        return this.#identifier(prefix, index).object === object ? index : undefined;
      },
    };
  }

  transient(): Identifier {
    return this.#identifier(this.#passing, ++this.#passed);
  }

  #prefix(listId: number): string {
    const digits = listId.toString(16).padStart(10, '0');
    return `${this.#seed}-${digits.slice(0, 4)}-4${digits.slice(4, 7)}-8${digits.slice(7)}-`;
  }

  #identifier(prefix: string, count: number): Identifier {
    return { server: this.server, object: prefix + count.toString(16).padStart(12, '0') };
  }
}

/** The number of a ccache by the object part of its identifier. */
export function numberOfCCache({ object }: Identifier): number {
  return Number.parseInt(object.slice(-12), 16);
}

function newState(): IdentifierState {
  const random = randomBytes(20);
  return { server: uuid(random.subarray(0, 16)), seed: random.toString('hex', 16), ccaches: 0, lists: 0 };
}

/** Straight from the kernel: loading `node:crypto` for it would double what the rest of the start costs. */
function randomBytes(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  const descriptor = openSync('/dev/urandom', 'r');
  try {
    if (readSync(descriptor, bytes, 0, length, null) !== length) throw new Error('/dev/urandom gave too few bytes');
  } finally {
    closeSync(descriptor);
  }
  return bytes;
}

function uuid(random: Buffer): string {
  const bytes = Buffer.from(random);
  bytes[6] = ((bytes[6] as number) & 0x0f) | 0x40;
  bytes[8] = ((bytes[8] as number) & 0x3f) | 0x80;
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
