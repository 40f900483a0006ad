import { CCAPIError } from './errors.ts';

/** The largest frame either end accepts, in bytes, unless told otherwise: 16 MiB. */
export const MAX_FRAME = 16 * 1024 * 1024;

/** The length word in front of every frame. */
export const FRAME_HEADER = 4;

const nothing = Buffer.alloc(0);

/** The least that is allocated for a frame that arrives in several pieces. */
const LEAST = 4096;

/**
 * Cuts a byte stream into frames: a big-endian 32-bit count, then that many bytes (CCAPI.md#framing).
 * A count of 0 or above the limit loses the framing: `error` is set, what came before it is still returned, and
 * later bytes are ignored. For an incomplete frame at most twice as much is allocated as has arrived.
 *
 * A frame may hold keys. What is returned is the only copy: a piece of the stream that had to be copied is overwritten
 * with zeros, and so is what {@link clear} drops. The owner of a frame overwrites it when it is not needed any more.
 */
export class FrameReader {
  readonly #limit: number;
  /** The length word and the bytes of a frame that has begun, as far as they have come. */
  #begun = nothing;
  #buffered = 0;
  #error: CCAPIError | undefined;

  constructor(limit: number = MAX_FRAME) {
    this.#limit = limit;
  }

  /** Why the stream cannot be read any further, if it cannot. */
  get error(): CCAPIError | undefined {
    return this.#error;
  }

  /** Whether a part of a frame is waiting for the rest. */
  get incomplete(): boolean {
    return this.#buffered > 0;
  }

  /** How many bytes of memory the part of a frame takes that is waiting for the rest. */
  get held(): number {
    return this.#begun.length;
  }

  /** Takes what the stream brought and returns the frames that it completed, without their length words. */
  push(chunk: Buffer): Buffer[] {
    const frames: Buffer[] = [];
    for (let at = 0; at < chunk.length && !this.#error; ) {
      const whole = this.#buffered === 0 ? this.#wholeFrame(chunk, at) : undefined;
      if (whole) frames.push(whole);
      at += whole ? FRAME_HEADER + whole.length : this.#take(chunk, at);
      if (this.#buffered < FRAME_HEADER || this.#error) continue;
      const end = FRAME_HEADER + this.#begun.readUInt32BE(0);
      if (this.#buffered < end) continue;
      frames.push(this.#begun.subarray(FRAME_HEADER, end));
      this.#drop();
    }
    return frames;
  }

  /** Drops what has come of a frame. */
  clear(): void {
    this.#begun.fill(0);
    this.#drop();
  }

  /** Most frames arrive whole; these are not copied. */
  #wholeFrame(chunk: Buffer, at: number): Buffer | undefined {
    if (chunk.length - at <= FRAME_HEADER) return undefined;
    const length = chunk.readUInt32BE(at);
    const isWhole = length > 0 && length <= this.#limit && length <= chunk.length - at - FRAME_HEADER;
    return isWhole ? chunk.subarray(at + FRAME_HEADER, at + FRAME_HEADER + length) : undefined;
  }

  /** Moves the next bytes of a chunk to the frame that has begun: its length word, or what belongs to it. */
  #take(chunk: Buffer, at: number): number {
    const end = this.#buffered < FRAME_HEADER ? FRAME_HEADER : FRAME_HEADER + this.#begun.readUInt32BE(0);
    const count = Math.min(end - this.#buffered, chunk.length - at);
    this.#reserve(this.#buffered + count, end);
    chunk.copy(this.#begun, this.#buffered, at, at + count);
    chunk.fill(0, at, at + count);
    this.#buffered += count;
    if (this.#buffered === FRAME_HEADER) this.#check(this.#begun.readUInt32BE(0));
    return count;
  }

  /** Makes room for so many bytes of a frame that ends at `end`. */
  #reserve(length: number, end: number): void {
    if (length <= this.#begun.length) return;
    const larger = Buffer.allocUnsafeSlow(Math.min(end, Math.max(2 * length, LEAST)));
    this.#begun.copy(larger, 0, 0, this.#buffered);
    this.#begun.fill(0);
    this.#begun = larger;
  }

  #check(length: number): void {
    if (length > 0 && length <= this.#limit) return;
    this.#error = new CCAPIError(
      'ccErrBadInternalMessage',
      length === 0 ? 'a frame of 0 bytes' : `a frame of ${length} bytes is above the limit of ${this.#limit}`,
    );
    this.clear();
  }

  #drop(): void {
    this.#begun = nothing;
    this.#buffered = 0;
  }
}
