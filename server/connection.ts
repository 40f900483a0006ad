import { monotonic } from '../etc/host/monotonic.ts';
import { FrameReader } from '../proto/framing.ts';
import type { InputBudget, InputHolder } from './input-budget.ts';
import type { InputSocket } from './input-socket.ts';
import type { Session } from './protocols/session.ts';

/** What a connection may make us keep for it, in bytes. */
interface ConnectionLimits {
  /** The longest request that is taken. */
  maxFrame: number;
  /** How much of replies may lie unread before the next request is answered; at least what a socket buffers. */
  maxOutput: number;
}

/** How many bytes of further requests are kept for a connection while its request waits. */
const MOST_WAITING = 1024 * 1024;

/** What a frame takes that is kept, beside its bytes: measured, for many of one byte. */
const EACH = 200;

/** Milliseconds for which one connection is answered before the others have their turn. */
const SLICE = 10;

/** How long a frame may stay half sent without another byte, in milliseconds. */
const HALF_SENT = 60_000;

/**
 * Serves one connection, which has to be half-open: each frame is answered in its turn, and one that has to wait keeps
 * only those behind it waiting. While the peer does not read its replies nothing more is read from it, so that no more
 * is kept for it than the limit and one reply. While a request waits the socket is read on, or the peer's end would go
 * unnoticed; a peer that sends too much meanwhile is cut off, and so is one that leaves off in the middle of a frame.
 * Where the framing is lost the connection is closed once what came before it is answered.
 *
 * A request may hold keys. Its bytes are overwritten once it is answered, whatever session has read them: nothing that a
 * session keeps may be a view of a frame.
 */
export class Connection implements InputHolder {
  readonly #socket: InputSocket;
  readonly #session: Session;
  readonly #reader: FrameReader;
  readonly #maxOutput: number;
  readonly #budget: InputBudget;
  #waiting: Buffer[] = [];
  #blocked = false;
  #isDeferred = false;
  #turnEnds: number | undefined;
  #ended = false;

  /** `budget` bounds what is held by all connections together. */
  constructor(socket: InputSocket, session: Session, { maxFrame, maxOutput }: ConnectionLimits, budget: InputBudget) {
    this.#budget = budget;
    this.#reader = new FrameReader(maxFrame);
    this.#maxOutput = maxOutput;
    this.#socket = socket;
    this.#session = session;
    socket.deliver = (bytes) => this.receive(bytes);
    socket.on('drain', () => this.#answerWaiting());
    socket.on('end', () => this.finish());
    socket.on('timeout', () => socket.destroy());
    // A peer that vanishes is nothing to report; 'close' follows and says all there is to say.
    socket.on('error', () => {});
    socket.on('close', () => {
      this.#drop();
      session.close();
    });
  }

  get held(): number {
    return this.#reader.held + sizeOf(this.#waiting);
  }

  end(): void {
    this.#drop();
    this.#socket.destroy();
  }

  /** Ends the connection once what has come is answered, also what is only on its way in a frame that has begun. */
  finish(): void {
    this.#ended = true;
    this.#answerWaiting();
  }

  /** Takes what the socket brought, or what was read of it before; the caller overwrites it afterwards. */
  receive(bytes: Buffer): void {
    this.#waiting.push(...this.#reader.push(bytes));
    if (this.#reader.incomplete) this.#socket.setTimeout(HALF_SENT);
    else if (this.#socket.timeout) this.#socket.setTimeout(0);
    this.#answerWaiting();
    if (this.#waiting.length === 0) return;
    this.#waiting = this.#waiting.map((frame) => (frame.buffer === bytes.buffer ? moved(frame) : frame));
  }

  #drop(): void {
    this.#reader.clear();
    for (const frame of this.#waiting) frame.fill(0);
    this.#waiting = [];
    this.#budget.remove(this);
  }

  #answerWaiting(): void {
    if (this.#socket.destroyed || this.#isDeferred) return;
    const isLate = this.#answerInTurn();
    const socket = this.#socket;
    if (this.#blocked) {
      if (this.#ended || sizeOf(this.#waiting) > MOST_WAITING) socket.destroy();
      else socket.resume();
    } else if (this.#waiting.length > 0) {
      socket.pause();
      if (isLate) this.#defer();
    }
    // A client that writes to it from here on is told so, and can go to another server.
    else if (this.#isOver()) socket.destroySoon();
    else socket.resume();
    this.#budget.update(this);
  }

  /** Answers what waits until one has to wait longer, the peer does not read, or the time is up: then true. */
  #answerInTurn(): boolean {
    const socket = this.#socket;
    // What answers several is one write; what answers one need not be gathered.
    const isSeveral = this.#waiting.length > 1;
    const until = isSeveral ? this.#endOfTurn() : Infinity;
    let taken = 0;
    let isLate = false;
    if (isSeveral) socket.cork();
    while (!this.#blocked && !isLate && taken < this.#waiting.length && socket.writableLength <= this.#maxOutput) {
      this.#answer(this.#waiting[taken++] as Buffer);
      isLate = isSeveral && monotonic() > until;
    }
    if (isSeveral) socket.uncork();
    this.#waiting = taken === this.#waiting.length ? [] : this.#waiting.slice(taken);
    return isLate;
  }

  /** Until when this connection may be answered in this turn of the event loop, which may bring several pieces of it. */
  #endOfTurn(): number {
    if (this.#turnEnds === undefined) {
      this.#turnEnds = monotonic() + SLICE;
      setImmediate(() => {
        this.#turnEnds = undefined;
      });
    }
    return this.#turnEnds;
  }

  /** Goes on after the others have had their turn. */
  #defer(): void {
    this.#isDeferred = true;
    setImmediate(() => {
      this.#isDeferred = false;
      this.#answerWaiting();
    });
  }

  #answer(frame: Buffer): void {
    // The others wait, whatever this one brings about.
    this.#blocked = true;
    try {
      const reply = this.#session.answer(frame);
      if (reply instanceof Promise) this.#sendLater(reply);
      else this.#send(reply);
    } catch {
      this.#socket.destroySoon();
    }
    frame.fill(0);
  }

  async #sendLater(pending: Promise<Buffer>): Promise<void> {
    try {
      this.#send(await pending);
    } catch {
      this.#socket.destroySoon();
      return;
    }
    // What waits behind it is another request: the other replies that the same change brought go first.
    queueMicrotask(() => this.#answerWaiting());
  }

  #send(reply: Buffer): void {
    this.#blocked = false;
    this.#socket.write(reply, () => reply.fill(0));
  }

  #isOver(): boolean {
    const half = this.#reader.incomplete && !this.#socket.readableEnded;
    return this.#reader.error !== undefined || (this.#ended && !half);
  }
}

/** A frame in memory of its own. */
function moved(frame: Buffer): Buffer {
  const copy = Buffer.from(frame);
  frame.fill(0);
  return copy;
}

/** How many bytes frames take in memory. */
function sizeOf(frames: readonly Buffer[]): number {
  return frames.reduce((total, frame) => total + frame.length, frames.length * EACH);
}
