import type { Socket } from 'node:net';
import type { MessageName, Reply, Request } from '../proto/ccapi.ts';
import { CCAPIError } from '../proto/error.ts';
import { readReply, requestFrame } from '../proto/exchange.ts';
import { FrameReader } from '../proto/frame.ts';
import type { Identifier } from '../proto/identifier.ts';
import type { Found, Locator } from './locate.ts';

interface Pending {
  frame: Buffer;
  resolve(payload: Buffer): void;
  reject(error: Error): void;
}

/**
 * One connection to the worker: requests go out as they are made, replies come back in their order. It is made at the
 * first call, and again at the first call after it was lost. One that dies before its first reply is made once more
 * through the launcher, and what it had not answered is sent again: the worker had just left.
 */
export class Connection {
  readonly #locator: Locator;
  #socket: Socket | undefined;
  #path: string | undefined;
  #opening: Promise<boolean> | undefined;
  #pending: Pending[] = [];
  #answered = false;
  #retried = false;
  #closed = false;

  constructor(locator: Locator) {
    this.#locator = locator;
  }

  /** Whether it was ended from here. */
  get closed(): boolean {
    return this.#closed;
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
    if (this.#closed) throw new CCAPIError('ccErrInvalidContext', 'the context is closed');
    if (this.#socket) return true;
    while (this.#opening) {
      const found = await this.#opening;
      if (found || !launch) return found;
    }
    this.#opening = this.#find(launch).finally(() => {
      this.#opening = undefined;
    });
    return this.#opening;
  }

  /** Sends a request on the open connection and returns its reply; throws the error it carries, 223 with none open. */
  async send<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    const frame = requestFrame(name, object, request);
    if (!this.#socket && !this.#opening) throw lost();
    const payload = await new Promise<Buffer>((resolve, reject) => {
      this.#pending.push({ frame, resolve, reject });
      this.#write(frame);
    });
    return readReply(name, payload);
  }

  /** Opens the connection, launching a worker if there is none, and sends. */
  async call<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    await this.open(true);
    return this.send(name, object, request);
  }

  /** Ends the connection; what is still waiting for a reply fails with 223. */
  close(): void {
    this.#closed = true;
    this.#socket?.destroy();
    this.#fail(lost());
  }

  async #find(launch: boolean): Promise<boolean> {
    const running = await this.#locator.running();
    const found = running ?? (launch || this.#locator.hasKept() ? await this.#locator.launched() : undefined);
    if (found) this.#adopt(found);
    return found !== undefined;
  }

  #adopt({ socket, path }: Found): void {
    if (this.#closed) {
      socket.destroy();
      return;
    }
    const reader = new FrameReader();
    this.#socket = socket;
    this.#path = path;
    this.#answered = false;
    socket.on('data', (chunk) => {
      for (const payload of reader.push(chunk)) this.#take(payload);
      if (reader.error) socket.destroy(reader.error);
    });
    socket.on('error', () => {});
    socket.on('close', () => this.#lost());
    // A connection that waits for nothing does not keep its program alive.
    socket.unref();
  }

  #take(payload: Buffer): void {
    this.#answered = true;
    this.#retried = false;
    this.#pending.shift()?.resolve(payload);
    if (this.#pending.length === 0) this.#socket?.unref();
  }

  /** Requests made in one turn of the event loop travel in one write. */
  #write(frame: Buffer): void {
    const socket = this.#socket;
    if (!socket) return;
    if (socket.writableCorked === 0) {
      socket.cork();
      socket.ref();
      process.nextTick(() => socket.uncork());
    }
    socket.write(frame);
  }

  #lost(): void {
    this.#socket = undefined;
    if (this.#pending.length === 0) return;
    if (this.#answered || this.#retried || this.#closed) {
      this.#fail(lost());
      return;
    }
    this.#retried = true;
    this.#opening = this.#locator.launched().then(
      (found) => {
        this.#opening = undefined;
        this.#adopt(found);
        for (const { frame } of this.#pending) this.#write(frame);
        return true;
      },
      (error: Error) => {
        this.#opening = undefined;
        this.#fail(error);
        return false;
      },
    );
  }

  #fail(error: Error): void {
    for (const { reject } of this.#pending.splice(0)) reject(error);
  }
}

function lost(): CCAPIError {
  return new CCAPIError('ccErrServerUnavailable', 'the connection to the credential-cache server was lost');
}
