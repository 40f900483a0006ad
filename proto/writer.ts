/** Builds one message. Integers are big-endian and are written as their low bits, whatever their sign. */
export class Writer {
  #bytes: Buffer;
  #length = 0;

  constructor(sizeHint = 256) {
    this.#bytes = Buffer.allocUnsafe(sizeHint);
  }

  u8(value: number): this {
    const at = this.#grow(1);
    this.#bytes[at] = value & 0xff;
    return this;
  }

  u16(value: number): this {
    const at = this.#grow(2);
    this.#bytes.writeUInt16BE(value & 0xffff, at);
    return this;
  }

  u32(value: number): this {
    const at = this.#grow(4);
    this.#bytes.writeUInt32BE(value >>> 0, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** Overwrites the 32-bit word at `offset`, which has been written before. */
  patchU32(offset: number, value: number): this {
    this.#bytes.writeUInt32BE(value >>> 0, offset);
    return this;
  }

  /** How many bytes have been written. */
  get length(): number {
    return this.#length;
  }

  /** How many bytes it can take before it has to grow. */
  get capacity(): number {
    return this.#bytes.length;
  }

  /** Overwrites what has been written, which may hold a key, and begins anew. */
  wipe(): void {
    this.#bytes.fill(0, 0, this.#length);
    this.#length = 0;
  }

  /** What has been written, as a view. */
  finish(): Buffer {
    return this.#bytes.subarray(0, this.#length);
  }

  /** Makes room and returns where it starts. It may replace `#bytes`, so call it before that is named. */
  #grow(by: number): number {
    const start = this.#length;
    this.#length += by;
    if (this.#length > this.#bytes.length) {
      const larger = Buffer.allocUnsafe(Math.max(this.#length, this.#bytes.length * 2));
      this.#bytes.copy(larger, 0, 0, start);
      // It may hold a key, and is not used any more.
      this.#bytes.fill(0, 0, start);
      this.#bytes = larger;
    }
    return start;
  }
}
