import { CCAPIError } from './errors.ts';
import { textFromBytes } from './text.ts';

/**
 * A cursor over the bytes of one message. Every read is checked against what remains before anything is allocated;
 * a read past the end throws the protocol's 22 (`malformed`), as MIT's stream code does. Integers are big-endian.
 */
export class Reader {
  readonly #bytes: Buffer;
  readonly #isOwn: boolean;
  /** Copies that were made, also by readers of parts. */
  readonly #copies: Buffer[];
  #at = 0;

  /** `isOwn` says that the bytes belong to what is read from them, so that nothing needs a copy of its own. */
  constructor(bytes: Buffer, isOwn = false, copies: Buffer[] = []) {
    this.#bytes = bytes;
    this.#isOwn = isOwn;
    this.#copies = copies;
  }

  /** The offset in bytes of the next read. */
  get offset(): number {
    return this.#at;
  }

  /** How many bytes are left. */
  get remaining(): number {
    return this.#bytes.length - this.#at;
  }

  /** The next `length` bytes as a view, not a copy. */
  view(length: number): Buffer {
    const start = this.#take(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** The next `length` bytes as text (`text.ts`). */
  text(length: number): string {
    const start = this.#take(length);
    return textFromBytes(this.#bytes, start, start + length);
  }

  /** Passes over the next `length` bytes. */
  skip(length: number): void {
    this.#take(length);
  }

  /** How many bytes come before the next one of this value; -1 where there is none. */
  distanceTo(value: number): number {
    const at = this.#bytes.indexOf(value, this.#at);
    return at < 0 ? -1 : at - this.#at;
  }

  /** A reader of the next `length` bytes alone. */
  part(length: number): Reader {
    return new Reader(this.view(length), false, this.#copies);
  }

  /** The next `length` bytes as a copy of their own, so that they can be overwritten when they are dropped. */
  copy(length: number): Buffer {
    if (length === 0) return NOTHING;
    if (this.#isOwn) return this.view(length);
    const copy = allocateSecret(this.#check(length));
    this.view(length).copy(copy);
    this.#copies.push(copy);
    return copy;
  }

  /** The bytes from an offset up to the next read, as a copy of their own. */
  copySince(start: number): Buffer {
    const copy = allocateSecret(this.#at - start);
    this.#bytes.copy(copy, 0, start, this.#at);
    this.#copies.push(copy);
    return copy;
  }

  /** Overwrites every copy that was made: what was read is refused, and is not kept. */
  wipeCopies(): void {
    for (const copy of this.#copies.splice(0)) copy.fill(0);
  }

  u8(): number {
    return this.#bytes.readUInt8(this.#take(1));
  }

  u16(): number {
    return this.#bytes.readUInt16BE(this.#take(2));
  }

  u32(): number {
    return this.#bytes.readUInt32BE(this.#take(4));
  }

  i32(): number {
    return this.#bytes.readInt32BE(this.#take(4));
  }

  /** A count of elements that take at least `elementSize` bytes each; a count that cannot fit is malformed. */
  count(elementSize: number): number {
    const count = this.u32();
    if (count > this.remaining / elementSize) throw this.malformed(`a count of ${count} does not fit`);
    return count;
  }

  /** The error for a message that is wrong at the current offset. */
  malformed(what: string): CCAPIError {
    return new CCAPIError('malformed', `malformed message: ${what} at byte ${this.#at} of ${this.#bytes.length}`);
  }

  #check(length: number): number {
    if (length > this.remaining) throw this.malformed(`${length} bytes expected`);
    return length;
  }

  #take(length: number): number {
    const start = this.#at;
    this.#at += this.#check(length);
    return start;
  }
}

/** Most credentials have a part of no bytes; they share it. */
const NOTHING = Buffer.alloc(0);

/** So much is taken from the system at a time, in bytes, and nothing above an eighth of it is put with others. */
const SLAB = 32_768;
let slab = Buffer.alloc(0);

/**
 * Memory for what is kept: key material that is overwritten when it is dropped. It shares its pieces with others of its
 * kind, since those of the system are dear, and with nothing that comes and goes.
 */
export function allocateSecret(length: number): Buffer {
  if (length > SLAB / 8) return Buffer.allocUnsafeSlow(length);
  if (slab.length < length) slab = Buffer.allocUnsafeSlow(SLAB);
  const bytes = slab.subarray(0, length);
  slab = slab.subarray(length);
  return bytes;
}
