import { setTimeout as delay } from 'node:timers/promises';
import type { MessageName, Reply, Request } from '../proto/ccapi.ts';
import { readReply, requestFrame } from '../proto/ccapi-codec.ts';
import { CCAPIError } from '../proto/errors.ts';
import { FrameReader } from '../proto/framing.ts';
import type { Identifier } from '../proto/identifier.ts';
import { checkRequest } from './check-arguments.ts';
import type { ByteStream } from './child-stream.ts';
import type { Locator } from './locator.ts';
import type { WorkerConnection } from './worker-connection.ts';

/** Where a connection stands: made once, it goes from open to opening and back as workers come and go. */
type State =
  | { is: 'idle' | 'closed' }
  /** `found` tells whether there is a worker to connect to. */
  | { is: 'opening'; found: Promise<boolean> }
  | { is: 'open'; socket: ByteStream };

interface Pending {
  frame: Buffer;
  /** Whether it may reach a server twice: it changes nothing, or nothing that outlives its connection. */
  repeatable: boolean;
  /** Whether the kernel has taken all of it for the server. */
  delivered: boolean;
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

/** The messages that change what is kept; every other may be sent again. */
const changing: ReadonlySet<MessageName> = new Set([
  'contextCreateCCache',
  'contextCreateDefaultCCache',
  'contextCreateNewCCache',
  'ccacheDestroy',
  'ccacheSetDefault',
  'ccacheSetPrincipal',
  'ccacheStoreCredentials',
  'ccacheRemoveCredentials',
  'ccacheMove',
  'ccacheSetKDCTimeOffset',
  'ccacheClearKDCTimeOffset',
]);

/**
 * How long is waited before a lost connection is made again for the second time, and how much longer each time, in
 * milliseconds: a server that is killed takes its time.
 */
const PAUSE = 10;

/** So much the kernel takes in one piece, or not at all. */
const ONE_PIECE = 32_000;

/**
 * One connection to the worker: requests go out as they are made, replies come back in their order. It is made at the
 * first call, and again when it was lost: what was not answered is sent again, through the launcher where need be, unless
 * the server may have done it already and it would be done twice. So a worker may come and go between any two calls.
 */
export class Connection {
  readonly #locator: Locator;
  #state: State = { is: 'idle' };
  #path: string | undefined;
  #pending: Pending[] = [];
  #attempts = 0;
  #generation = 0;

  constructor(locator: Locator) {
    this.#locator = locator;
  }

  /** Whether it was ended from here. */
  get closed(): boolean {
    return this.#state.is === 'closed';
  }

  /** How often it was made. What belongs to a connection on the server goes with it. */
  get generation(): number {
    return this.#generation;
  }

  /** The path of the worker's socket, once there is a connection. */
  get path(): string | undefined {
    return this.#path;
  }

  /**
   * Makes the connection if there is none. False where no worker runs, none has left anything behind, and `launch` does
   * not allow to start one.
   */
  async open(launch: boolean): Promise<boolean> {
    while (this.#state.is === 'opening') {
      const found = await this.#state.found;
      if (found || !launch) return found;
    }
    if (this.closed) throw new CCAPIError('ccErrInvalidContext', 'the context is closed');
    return this.#state.is === 'open' || this.#opening(this.#find(launch));
  }

  /** Sends a request on the open connection and returns its reply; throws the error it carries, 223 with none open. */
  async send<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    const frame = requestFrame(name, object, request);
    if (this.#state.is !== 'open' && this.#state.is !== 'opening') throw lost();
    const payload = await new Promise<Buffer>((resolve, reject) => {
      const pending = { frame, repeatable: !changing.has(name), delivered: false, resolve, reject };
      this.#pending.push(pending);
      this.#write(pending);
    });
    return readReply(name, payload);
  }

  /** Opens the connection, launching a worker if there is none, and sends. */
  async call<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    checkRequest(name, request);
    await this.open(true);
    return this.send(name, object, request);
  }

  /** Ends the connection; what is still waiting for a reply fails with 223. */
  close(): void {
    if (this.#state.is === 'open') this.#state.socket.destroy();
    this.#state = { is: 'closed' };
    this.#fail(lost());
  }

  /** The state while a worker is looked for: idle follows where none is found. */
  #opening(found: Promise<boolean>): Promise<boolean> {
    const state = { is: 'opening', found } as const;
    this.#state = state;
    const end = () => {
      if (this.#state === state) this.#state = { is: 'idle' };
    };
    found.then(end, end);
    return found;
  }

  async #find(launch: boolean): Promise<boolean> {
    const found = await this.#locator.find({ launch: launch || 'forCCaches' });
    if (found) this.#adopt(found);
    return found !== undefined;
  }

  #adopt({ socket, path }: WorkerConnection): void {
    if (this.closed) {
      socket.destroy();
      return;
    }
    const reader = new FrameReader();
    let reset = false;
    this.#state = { is: 'open', socket };
    this.#path = path;
    this.#generation++;
    socket.on('data', (chunk) => {
      for (const payload of reader.push(chunk)) this.#take(payload);
      if (reader.error) socket.destroy(reader.error);
    });
    socket.on('error', ({ code }: NodeJS.ErrnoException) => {
      reset = code === 'ECONNRESET';
    });
    socket.on('close', () => this.#lost(reset));
    // It may be paused since its owner was checked.
    socket.resume();
    // A connection that waits for nothing does not keep its program alive.
    socket.unref();
  }

  #take(payload: Buffer): void {
    this.#attempts = 0;
    this.#pending.shift()?.resolve(payload);
    if (this.#pending.length === 0 && this.#state.is === 'open') this.#state.socket.unref();
  }

  /** Requests made in one turn of the event loop travel in one write. */
  #write(pending: Pending): void {
    if (this.#state.is !== 'open') return;
    const { socket } = this.#state;
    if (socket.writableCorked === 0) {
      socket.cork();
      socket.ref();
      process.nextTick(() => socket.uncork());
    }
    socket.write(pending.frame, (error) => {
      pending.delivered = !error;
    });
  }

  /** `reset` says that the server has not read all that it was sent. */
  #lost(reset: boolean): void {
    if (this.#state.is === 'open') this.#state = { is: 'idle' };
    const undone = surelyUndone(this.#pending, reset);
    for (const pending of this.#pending.splice(0)) {
      if (pending.repeatable || undone.has(pending)) this.#pending.push(pending);
      else pending.reject(lost('; whether it was done is not known'));
    }
    if (this.#pending.length === 0) return;
    if (this.closed || ++this.#attempts > this.#locator.attempts) this.#fail(lost());
    else this.#opening(this.#reopen());
  }

  /** Makes a lost connection again and sends what is pending; false where that fails, and with it all of the pending. */
  async #reopen(): Promise<boolean> {
    try {
      if (this.#attempts > 1) await delay((this.#attempts - 1) * PAUSE);
      this.#adopt(await this.#locator.find({ launch: true }));
      for (const pending of this.#pending) this.#write(pending);
      return true;
    } catch (error) {
      this.#fail(error as Error);
      return false;
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

/** What a lost server cannot have done: it never had the whole of it, or it had not read it. */
function surelyUndone(pending: readonly Pending[], reset: boolean): Set<Pending> {
  const undelivered = pending.filter(({ delivered }) => !delivered);
  const bytes = undelivered.reduce((total, { frame }) => total + frame.length, 0);
  const [lastDelivered, lastUndelivered] = [pending.findLast(({ delivered }) => delivered), undelivered.at(-1)];
  const undone = new Set(bytes <= ONE_PIECE ? undelivered : []);
  if (lastUndelivered) undone.add(lastUndelivered);
  if (reset && lastDelivered) undone.add(lastDelivered);
  return undone;
}

function lost(more = ''): CCAPIError {
  return new CCAPIError('ccErrServerUnavailable', `the connection to the credential-cache server was lost${more}`);
}
