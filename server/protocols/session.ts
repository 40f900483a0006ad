import { CCAPIError } from '../../proto/errors.ts';
import { STATUS_REQUEST } from '../../proto/status.ts';

/** What answers the frames of one connection. */
export interface Session {
  /** Gives the reply to a frame, with its length word, once: at once or later. Throws where the framing is lost. */
  answer(frame: Buffer, reply: (frame: Buffer) => void): void;
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
  answer(frame: Buffer, reply: (frame: Buffer) => void): void {
    this.#session ??= this.#open(frame[0] ?? CCAPI);
    let isLater = false;
    this.#session.answer(frame, (answer) => {
      const send = () => {
        this.#beforeReply();
        reply(answer);
      };
      // It may come in the middle of the change that it waited for.
      if (isLater) queueMicrotask(send);
      else send();
    });
    isLater = true;
  }

  close(): void {
    this.#session?.close();
  }

  #open(first: number): Session {
    if (first === KCM) return this.#openers.kcm();
    if (first === CCAPI) return this.#openers.ccapi();
    if (first === STATUS) return this.#openers.status();
    throw new CCAPIError('malformed', 'neither CCAPI nor KCM');
  }
}
