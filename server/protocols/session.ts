import { CCAPIError } from '../../proto/errors.ts';
import { STATUS_REQUEST } from '../../proto/status.ts';

/** What answers the frames of one connection. */
export interface Session {
  /**
   * Returns the reply to a frame, with its length word, or the wait for it, which may never settle once the session is
   * closed. Throws, or rejects, where there is no reply to give and the connection has to end, as where the framing is lost.
   */
  answer(frame: Buffer): Buffer | Promise<Buffer>;
  close(): void;
}

/** What the first byte of a connection's first request is: a CCAPI message's number, or KCM's version, begins with it. */
const CCAPI = 0x00;
const KCM = 0x02;
const STATUS = STATUS_REQUEST.charCodeAt(0);

/** What opens a connection of each kind. */
interface SessionOpeners {
  ccapi(): Session;
  kcm(): Session;
  status(): Session;
}

/** A connection that shows with its first request which of the two protocols it speaks, or that it is about the worker. */
export class SessionDispatcher implements Session {
  readonly #openers: SessionOpeners;
  readonly #beforeReply: () => void;
  #session: Session | undefined;

  /** `beforeReply` is done before each reply, as what has changed is acknowledged by it. */
  constructor(openers: SessionOpeners, beforeReply: () => void = () => {}) {
    this.#openers = openers;
    this.#beforeReply = beforeReply;
  }

  /** Throws where it is neither of them: no answer would be understood. */
  answer(frame: Buffer): Buffer | Promise<Buffer> {
    this.#session ??= this.#open(frame[0] ?? CCAPI);
    const reply = this.#session.answer(frame);
    if (reply instanceof Promise) return reply.then((late) => this.#prepareReply(late));
    return this.#prepareReply(reply);
  }

  close(): void {
    this.#session?.close();
  }

  #prepareReply(reply: Buffer): Buffer {
    this.#beforeReply();
    return reply;
  }

  #open(first: number): Session {
    if (first === KCM) return this.#openers.kcm();
    if (first === CCAPI) return this.#openers.ccapi();
    if (first === STATUS) return this.#openers.status();
    throw new CCAPIError('malformed', 'neither CCAPI nor KCM');
  }
}
