// A connection to a worker on which a test sends requests as it likes, and sees what is answered and what is not.
import { connect, type Socket } from 'node:net';
import type { MessageName, Reply, Request } from '../../proto/ccapi.ts';
import { readReply, requestFrame } from '../../proto/ccapi-codec.ts';
import type { CCAPIError } from '../../proto/errors.ts';
import { FrameReader } from '../../proto/framing.ts';
import { type Identifier, uninitialised } from '../../proto/identifier.ts';

/** What became of a request: the reply, the error's code, or nothing yet. */
export interface Asked<Name extends MessageName> {
  reply?: Reply<Name>;
  /** 0 for a success; undefined while there is no reply. */
  code?: number;
  /** Resolves with the code once there is a reply. */
  answered: Promise<number>;
  error?: CCAPIError;
}

export class RawConnection {
  readonly #socket: Socket;
  readonly #pending: ((payload: Buffer) => void)[] = [];

  /** Resolves when the connection is at its end. */
  readonly closed: Promise<void>;

  private constructor(socket: Socket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    const reader = new FrameReader();
    socket.on('data', (chunk) => {
      for (const payload of reader.push(chunk)) this.#pending.shift()?.(payload);
    });
    socket.on('error', () => {});
  }

  static open(path: string): Promise<RawConnection> {
    return new Promise((resolve, reject) => {
      const socket = connect(path, () => resolve(new RawConnection(socket)));
      socket.once('error', reject);
    });
  }

  /** Sends a request; what becomes of it shows in what is returned, now and later. */
  ask<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Asked<Name> {
    let resolve: (code: number) => void = () => {};
    const asked: Asked<Name> = { answered: new Promise((settle) => (resolve = settle)) };
    this.#pending.push((payload) => {
      try {
        asked.reply = readReply(name, payload);
        asked.code = 0;
      } catch (error) {
        asked.error = error as CCAPIError;
        asked.code = asked.error.code;
      }
      resolve(asked.code);
    });
    this.#socket.write(requestFrame(name, object, request));
    return asked;
  }

  /** Sends a request that is answered at once with a success, and returns the reply. */
  async get<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Promise<Reply<Name>> {
    const asked = this.ask(name, object, request);
    if ((await asked.answered) !== 0) throw asked.error;
    return asked.reply as Reply<Name>;
  }

  /** Resolves once every reply that the server has sent by now has arrived. */
  async settled(): Promise<void> {
    for (let round = 0; round < 3; round++) await this.get('contextSync', uninitialised, {});
  }

  /** Ends the connection as a client does that is killed: at once. */
  kill(): void {
    this.#socket.destroy();
  }
}
