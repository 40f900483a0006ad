import { CCAPIError } from '../proto/error.ts';
import type { Session } from './connection.ts';

/** What the first byte of a connection's first request is: a CCAPI message's number, or KCM's version, begins with it. */
const CCAPI = 0x00;
const KCM = 0x02;

/** A connection that shows with its first request which of the two protocols it speaks. */
export class EitherSession implements Session {
  readonly #openers: { ccapi(): Session; kcm(): Session };
  #session: Session | undefined;

  constructor(openers: { ccapi(): Session; kcm(): Session }) {
    this.#openers = openers;
  }

  /** Throws where it is neither of them: no answer would be understood. */
  answer(frame: Buffer, reply: (frame: Buffer) => void): void {
    this.#session ??= this.#opened(frame[0] ?? CCAPI);
    this.#session.answer(frame, reply);
  }

  close(): void {
    this.#session?.close();
  }

  #opened(first: number): Session {
    if (first === KCM) return this.#openers.kcm();
    if (first === CCAPI) return this.#openers.ccapi();
    throw new CCAPIError('malformed', 'neither CCAPI nor KCM');
  }
}
