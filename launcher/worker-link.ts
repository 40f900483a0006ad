import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { isHungUp, isMarked, sendDescriptor } from '../etc/host/fd-passing.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { descriptorOf, pauseHandle } from '../etc/host/socket-handle.ts';
import { greeting, LENGTH_SIZE, type LinkRole, READY, REFUSED, TAKEN } from '../proto/link.ts';

/** How many descriptors may be on their way at once. */
const WINDOW = 64;

/** How long a worker may take to make the link, or to acknowledge a connection that it was given, in milliseconds. */
const ACKNOWLEDGEMENT = 5000;

/**
 * What became of a connection that was offered: `taken` and `refused` are the worker's words; `lost` where it was sent and
 * the link ended before the worker touched it; `unsent` where the link ended before; `silent` where no acknowledgement came
 * in time, and the worker may have it.
 */
export type Outcome = 'taken' | 'refused' | 'lost' | 'unsent' | 'silent';

interface Offer {
  descriptor: number;
  /** What has been read of the connection already. */
  read: Buffer;
  /** Until when it has to be acknowledged, at this time of `performance`. */
  deadline: number;
  settle(outcome: Outcome): void;
  fail(error: Error): void;
}

/** The worker ended the connections and said nothing: it is of another version, or has just been killed. */
export class LinkRefused extends Error {}

/**
 * The standing way to one worker, over which it is given connections. The protocol is that of `proto/link.ts`.
 *
 * `open` becomes `closing` with the end of either connection, or at {@link close}: nothing more is sent, and what was sent
 * may still be acknowledged. It becomes `ended` when nothing is left to be acknowledged, or in time. A worker that keeps its
 * end open even then keeps what it has not received of the descriptors, which the kernel counts for this process:
 * {@link isHeld} says so, until the worker lets go.
 */
export class WorkerLink {
  /** Carries descriptors there, and acknowledgements back. Node only reads it: an error of writing would end that early. */
  readonly #descriptors: Socket;
  readonly #lengths: Socket;
  #state: 'open' | 'closing' | 'ended' = 'open';
  /** Sent and not acknowledged, in their order. */
  readonly #sent: Offer[] = [];
  readonly #waiting: Offer[] = [];
  #timer: NodeJS.Timeout | undefined;

  private constructor(descriptors: Socket, lengths: Socket) {
    this.#descriptors = descriptors;
    this.#lengths = lengths;
    descriptors.on('data', (answers: Buffer) => this.#acknowledge(answers));
    descriptors.once('end', () => this.#end('lost')).once('close', () => this.#end('lost'));
    // The answers that have come are still read.
    lengths.once('end', () => this.#drain()).once('close', () => this.#drain());
  }

  /**
   * Makes a link with a worker; `connect` gives a connection to its `H.ccapi` that the kernel has said to be the user's, and
   * that has a listener for its errors. Rejects with {@link LinkRefused}, or with an error of `connect`.
   */
  static async open(connect: () => Promise<Socket>): Promise<WorkerLink> {
    const descriptors = await connect();
    let lengths: Socket | undefined;
    try {
      lengths = await connect();
      const id = randomBytes(8).toString('hex');
      const greet = (socket: Socket, role: LinkRole) => socket.write(greeting(role, id));
      greet(lengths, 'lengths');
      greet(descriptors, 'descriptors');
      await ready(descriptors, lengths);
      return new WorkerLink(descriptors, lengths);
    } catch (error) {
      descriptors.destroy();
      lengths?.destroy();
      throw error;
    }
  }

  get isOpen(): boolean {
    return this.#state === 'open' && !this.#descriptors.destroyed && !this.#lengths.destroyed;
  }

  /** Whether the worker's process, or one that it has given it to, keeps the other end although the link is over. */
  get isHeld(): boolean {
    if (this.#state === 'ended' && isHungUp(descriptorOf(this.#descriptors))) this.#descriptors.destroy();
    return this.#state !== 'open' && !this.#descriptors.destroyed;
  }

  /**
   * Gives a connection to the worker. Its descriptor has to stay open, and unread, until this resolves; where it was sent,
   * the launcher must not read or write it any more. Rejects with the system's error where the kernel takes no descriptor.
   */
  offer(descriptor: number, read: Buffer): Promise<Outcome> {
    return new Promise((settle, fail) => {
      if (!this.isOpen) return settle('unsent');
      this.#waiting.push({ descriptor, read, deadline: monotonic() + ACKNOWLEDGEMENT, settle, fail });
      this.#timer ??= setTimeout(() => this.#checkDeadline(), ACKNOWLEDGEMENT);
      this.#sendWaiting();
    });
  }

  /** Has nothing more sent to the worker. What was sent may still be taken. */
  close(): void {
    this.#lengths.end();
    this.#drain();
  }

  #sendWaiting(): void {
    while (this.isOpen && this.#sent.length < WINDOW) {
      const [next] = this.#waiting;
      if (!next) return;
      const error = sendDescriptor(descriptorOf(this.#descriptors), next.descriptor);
      // A link that is full has room again once something is acknowledged.
      if (error?.code === 'EAGAIN' && this.#sent.length > 0) return;
      this.#waiting.shift();
      if (error?.code === 'EPIPE' || error?.code === 'ECONNRESET') next.settle('unsent');
      else if (error) next.fail(error);
      else this.#announce(next);
    }
  }

  #announce(offer: Offer): void {
    this.#sent.push(offer);
    const length = Buffer.allocUnsafe(LENGTH_SIZE);
    length.writeUInt32BE(offer.read.length);
    this.#lengths.write(offer.read.length === 0 ? length : Buffer.concat([length, offer.read]));
  }

  #acknowledge(answers: Buffer): void {
    for (const answer of answers) {
      const [offer] = this.#sent;
      if (!offer || (answer !== TAKEN && answer !== REFUSED)) {
        this.#end('lost');
        return;
      }
      this.#sent.shift();
      offer.settle(answer === TAKEN ? 'taken' : 'refused');
    }
    if (this.#state === 'closing') this.#drain();
    else this.#sendWaiting();
  }

  #drain(): void {
    if (this.#state === 'open') this.#state = 'closing';
    for (const offer of this.#waiting.splice(0)) offer.settle('unsent');
    if (this.#sent.length === 0) this.#end('lost');
  }

  /** One timer for all, set again only when it has run out. */
  #checkDeadline(): void {
    this.#timer = undefined;
    // None waits where none is sent.
    const [oldest] = this.#sent;
    if (!oldest) return;
    const left = oldest.deadline - monotonic();
    if (left > 0) this.#timer = setTimeout(() => this.#checkDeadline(), Math.ceil(left));
    else this.#end('silent');
  }

  #end(outcome: 'lost' | 'silent'): void {
    if (this.#state === 'ended') return;
    this.#state = 'ended';
    clearTimeout(this.#timer);
    this.#lengths.destroy();
    // What more a worker sends is not read; whether it has let go is asked when it matters.
    pauseHandle(this.#descriptors);
    for (const offer of this.#sent.splice(0)) offer.settle(isMarked(offer.descriptor) ? 'taken' : outcome);
    for (const offer of this.#waiting.splice(0)) offer.settle(outcome === 'silent' ? outcome : 'unsent');
    void this.isHeld;
  }
}

/** Waits until the worker says that it has both connections. */
function ready(descriptors: Socket, lengths: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const settle = (error?: Error) => {
      descriptors.setTimeout(0);
      descriptors.off('data', hear).off('timeout', late);
      for (const socket of [descriptors, lengths]) socket.off('close', closed).off('end', closed);
      if (error) reject(error);
      else resolve();
    };
    const closed = () => settle(new LinkRefused('the worker makes no link of this version'));
    const late = () => settle(new Error(`the worker made no link within ${ACKNOWLEDGEMENT / 1000} s`));
    const hear = (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (said === READY) settle();
      else if (!READY.startsWith(said)) closed();
    };
    descriptors.setTimeout(ACKNOWLEDGEMENT, late);
    descriptors.on('data', hear);
    for (const socket of [descriptors, lengths]) socket.once('close', closed).once('end', closed);
    lengths.resume();
    if (descriptors.destroyed || lengths.destroyed) closed();
  });
}
