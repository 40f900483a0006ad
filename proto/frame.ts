import { CCAPIError } from './error.ts';

/** The largest frame either end accepts, in bytes, unless told otherwise: 16 MiB. */
export const MAX_FRAME = 16 * 1024 * 1024;

/** The length word in front of every frame. */
export const FRAME_HEADER = 4;

/**
 * Cuts a byte stream into frames: a big-endian 32-bit count, then that many bytes (CCAPI RPC specification 3.4).
 * A count of 0 or above the limit loses the framing: `error` is set, what came before it is still returned, and
 * whatever follows is ignored. Nothing is allocated for a frame before its bytes are there.
 */
export class FrameReader {
  readonly #limit: number;
  #chunks: Buffer[] = [];
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

  /** Takes what the stream brought and returns the frames that it completed, without their length words. */
  push(chunk: Buffer): Buffer[] {
    if (this.#error) return [];
    const whole = this.#buffered === 0 ? this.#wholeFrame(chunk) : undefined;
    if (whole) return [whole];
    this.#chunks.push(chunk);
    this.#buffered += chunk.length;
    const frames: Buffer[] = [];
    for (let length = this.#nextLength(); length !== undefined; length = this.#nextLength()) {
      if (length === 0 || length > this.#limit) {
        this.#lose(length);
        break;
      }
      if (this.#buffered < FRAME_HEADER + length) break;
      const bytes = this.#joined();
      frames.push(bytes.subarray(FRAME_HEADER, FRAME_HEADER + length));
      this.#keep(bytes.subarray(FRAME_HEADER + length));
    }
    return frames;
  }

  /** Most of what comes is one frame and nothing else. */
  #wholeFrame(chunk: Buffer): Buffer | undefined {
    const length = chunk.length - FRAME_HEADER;
    const isWhole = length > 0 && length <= this.#limit && chunk.readUInt32BE(0) === length;
    return isWhole ? chunk.subarray(FRAME_HEADER) : undefined;
  }

  #nextLength(): number | undefined {
    if (this.#buffered < FRAME_HEADER) return undefined;
    const first = this.#chunks[0] as Buffer;
    return (first.length >= FRAME_HEADER ? first : this.#joined()).readUInt32BE(0);
  }

  #joined(): Buffer {
    const bytes = this.#chunks.length === 1 ? (this.#chunks[0] as Buffer) : Buffer.concat(this.#chunks);
    this.#chunks = [bytes];
    return bytes;
  }

  #keep(rest: Buffer): void {
    this.#chunks = rest.length > 0 ? [rest] : [];
    this.#buffered = rest.length;
  }

  #lose(length: number): void {
    this.#error = new CCAPIError(
      'ccErrBadInternalMessage',
      length === 0 ? 'a frame of 0 bytes' : `a frame of ${length} bytes is above the limit of ${this.#limit}`,
    );
    this.#keep(Buffer.alloc(0));
  }
}
