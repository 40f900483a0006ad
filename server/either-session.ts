import type { Session } from './connection.ts';

/** The first byte of a connection's first request tells which protocol it speaks: KCM's version begins with 2. */
const KCM = 0x02;

/** A connection that shows with its first request which of the two protocols it speaks. */
export class EitherSession implements Session {
  readonly #openers: { ccapi(): Session; kcm(): Session };
  #session: Session | undefined;

  constructor(openers: { ccapi(): Session; kcm(): Session }) {
    this.#openers = openers;
  }

  answer(frame: Buffer, reply: (frame: Buffer) => void): void {
    this.#session ??= frame[0] === KCM ? this.#openers.kcm() : this.#openers.ccapi();
    this.#session.answer(frame, reply);
  }

  close(): void {
    this.#session?.close();
  }
}
