import { randomBytes } from 'node:crypto';
import type { Socket } from 'node:net';
import { isMarked, sendDescriptor } from '../etc/fd-passing.ts';
import { descriptorOf } from '../etc/host.ts';
import { greeting, LENGTH_SIZE, type LinkRole, READY, REFUSED, TAKEN } from '../proto/link.ts';

/** How many descriptors may be on their way at once: what a worker that never answers keeps of the launcher's. */
const WINDOW = 64;

/** How long a worker may take to make the link, or to acknowledge a connection that it was given, in milliseconds. */
const ACKNOWLEDGEMENT = 5000;

/**
 * What became of a connection that was offered: `taken` and `refused` are the worker's words; `lost` where the link ended
 * before the worker touched it; `silent` where no acknowledgement came in time, and the worker may have it.
 */
export type Outcome = 'taken' | 'refused' | 'lost' | 'silent';

interface Offer {
  descriptor: number;
  /** What has been read of the connection already. */
  read: Buffer;
  /** Until when it has to be acknowledged, at this time of `performance`. */
  deadline: number;
  settle(outcome: Outcome): void;
}

/** The worker ended the connections and said nothing: it is of another version, or has just been killed. */
export class LinkRefused extends Error {}

/** The standing way to one worker, over which it is given connections. The protocol is that of `proto/link.ts`. */
export class WorkerLink {
  /** Carries descriptors there, and acknowledgements back. Node only reads it: an error of writing would end that early. */
  readonly #descriptors: Socket;
  readonly #lengths: Socket;
  /** Sent and not acknowledged, in their order. */
  readonly #sent: Offer[] = [];
  readonly #waiting: Offer[] = [];
  #timer: NodeJS.Timeout | undefined;
  #isOpen = true;

  private constructor(descriptors: Socket, lengths: Socket) {
    this.#descriptors = descriptors;
    this.#lengths = lengths;
    descriptors.on('data', (answers: Buffer) => this.#acknowledge(answers));
    descriptors.once('close', () => this.#end('lost'));
    // The answers that have come are still read.
    lengths.once('close', () => this.#stop()).resume();
  }

  /**
   * Makes a link with a worker; `connect` gives a connection to its `H.ccapi` that the kernel has said to be the user's.
   * Rejects with {@link LinkRefused}, or with an error of `connect`.
   */
  static async open(connect: () => Promise<Socket>): Promise<WorkerLink> {
    const descriptors = await connect();
    let lengths: Socket | undefined;
    try {
      lengths = await connect();
      for (const socket of [descriptors, lengths]) {
        socket.on('error', () => socket.destroy()).on('end', () => socket.destroy());
      }
      const id = randomBytes(8).toString('hex');
      const greet = (socket: Socket, role: LinkRole) => socket.write(greeting(role, id));
      greet(lengths, 'lengths');
      greet(descriptors, 'descriptors');
      await ready(descriptors);
      return new WorkerLink(descriptors, lengths);
    } catch (error) {
      descriptors.destroy();
      lengths?.destroy();
      throw error;
    }
  }

  /** False from the moment at which the worker is seen to have ended it. */
  get isOpen(): boolean {
    return this.#isOpen && !this.#descriptors.destroyed && !this.#lengths.destroyed;
  }

  /** Gives a connection to the worker. Its descriptor has to stay open, and unread, until this resolves. */
  offer(descriptor: number, read: Buffer): Promise<Outcome> {
    return new Promise((settle) => {
      if (!this.isOpen) return settle('lost');
      this.#waiting.push({ descriptor, read, deadline: performance.now() + ACKNOWLEDGEMENT, settle });
      this.#timer ??= setTimeout(() => this.#checkDeadline(), ACKNOWLEDGEMENT);
      this.#sendWaiting();
    });
  }

  /** Has nothing more sent to the worker. What it has acknowledged until then is its own. */
  close(): void {
    this.#stop();
    this.#lengths.end();
  }

  #stop(): void {
    this.#isOpen = false;
    for (const offer of this.#waiting.splice(0)) offer.settle('lost');
  }

  #sendWaiting(): void {
    while (this.isOpen && this.#sent.length < WINDOW) {
      const [next] = this.#waiting;
      // A link that is full has room again once something is acknowledged; one that is broken is about to close.
      if (!next || !sendDescriptor(descriptorOf(this.#descriptors), next.descriptor)) return;
      this.#waiting.shift();
      this.#sent.push(next);
      const length = Buffer.allocUnsafe(LENGTH_SIZE);
      length.writeUInt32BE(next.read.length);
      this.#lengths.write(next.read.length === 0 ? length : Buffer.concat([length, next.read]));
    }
  }

  #acknowledge(answers: Buffer): void {
    for (const answer of answers) {
      const offer = this.#sent.shift();
      if (!offer || (answer !== TAKEN && answer !== REFUSED)) return void this.#descriptors.destroy();
      offer.settle(answer === TAKEN ? 'taken' : 'refused');
    }
    this.#sendWaiting();
  }

  /** One timer for all, set again only when it has run out. */
  #checkDeadline(): void {
    this.#timer = undefined;
    const oldest = this.#sent[0] ?? this.#waiting[0];
    if (!oldest) return;
    const left = oldest.deadline - performance.now();
    if (left > 0) this.#timer = setTimeout(() => this.#checkDeadline(), Math.ceil(left));
    else this.#end('silent');
  }

  #end(outcome: 'lost' | 'silent'): void {
    clearTimeout(this.#timer);
    this.#descriptors.destroy();
    this.#lengths.destroy();
    for (const offer of this.#sent.splice(0)) offer.settle(isMarked(offer.descriptor) ? 'taken' : outcome);
    this.#stop();
  }
}

/** Waits until the worker says that it has both connections. */
function ready(descriptors: Socket): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    const settle = (error?: Error) => {
      descriptors.setTimeout(0);
      descriptors.removeAllListeners('data').off('close', closed).off('timeout', late);
      if (error) reject(error);
      else resolve();
    };
    const closed = () => settle(new LinkRefused('the worker makes no link of this version'));
    const late = () => settle(new Error(`the worker made no link within ${ACKNOWLEDGEMENT / 1000} s`));
    descriptors.setTimeout(ACKNOWLEDGEMENT, late);
    descriptors.once('close', closed);
    descriptors.on('data', (chunk: Buffer) => {
      said += chunk.toString('latin1');
      if (said === READY) settle();
      else if (!READY.startsWith(said)) closed();
    });
  });
}
