import type { Log } from '../../etc/host/log.ts';
import { CCAPIError, errorCodes } from '../../proto/errors.ts';
import { type Layout, readFields } from '../../proto/fields.ts';
import {
  MAX_REPLY,
  type OperationName,
  type OperationReply,
  type OperationRequest,
  operationError,
  operationNumbered,
  operationReply,
  operations,
  VERSION,
} from '../../proto/kcm.ts';
import { Reader } from '../../proto/reader.ts';
import { type KCMContext, kcmHandlers } from './kcm-handlers.ts';
import type { Session } from './session.ts';

/** What requests are called beside those of the CCAPI. */
const calledOut = Object.fromEntries(Object.keys(operations).map((name) => [name, `kcm ${name}`])) as Record<
  OperationName,
  string
>;

/** The name of a request with an unknown number, in the counts of the status frame. */
const UNKNOWN = 'kcm unknown';

/**
 * One connection that speaks KCM. Nothing depends on the connection: a client may go on with another
 * (proto/KCM.md#requests-and-replies).
 */
export class KCMSession implements Session {
  readonly #context: KCMContext;
  readonly #log: Log;
  readonly #onRequest: (name: string) => void;

  /** `onRequest` is told of each request, by its name. */
  constructor(context: KCMContext, log: Log, onRequest: (name: string) => void = () => {}) {
    this.#onRequest = onRequest;
    this.#context = context;
    this.#log = log;
  }

  /** Answers a request at once. Throws for another version: there is no telling then where anything stands. */
  answer(frame: Buffer): Buffer {
    const reader = new Reader(frame);
    if (frame.length < 4 || reader.u16() !== VERSION) throw new CCAPIError('malformed', 'no request of KCM 2.0');
    return this.#handle(operationNumbered(reader.u16()), reader);
  }

  close(): void {}

  #handle(name: OperationName | undefined, reader: Reader): Buffer {
    this.#onRequest(name === undefined ? UNKNOWN : calledOut[name]);
    try {
      if (name === undefined) throw new CCAPIError('KRB5_FCC_INTERNAL');
      const handler = kcmHandlers[name] as (
        request: OperationRequest<OperationName>,
        context: KCMContext,
      ) => OperationReply<never>;
      const request = readFields(reader, operations[name].request as Layout) as OperationRequest<OperationName>;
      const reply = operationReply(name, handler(request, this.#context));
      // MIT's client reads no more, and asks for the credentials one by one when it is told so.
      if (reply.length - 8 <= MAX_REPLY) return reply;
      reply.fill(0);
      throw new CCAPIError('KRB5_CC_NOSUPP');
    } catch (error) {
      reader.wipeCopies();
      return operationError(this.#codeOf(error));
    }
  }

  #codeOf(error: unknown): number {
    if (CCAPIError.is(error, 'malformed') || CCAPIError.is(error, 'ccErrBadParam'))
      return errorCodes.KRB5_CC_FORMAT.code;
    if (CCAPIError.is(error, 'ccErrBadName')) return errorCodes.KRB5_CC_BADNAME.code;
    if (error instanceof CCAPIError && error.code < 0) return error.code;
    // There is no room, or no way to keep it; the log has the reason.
    if (CCAPIError.is(error, 'ccErrNoMem')) return errorCodes.KRB5_CC_WRITE.code;
    // Not what clients take for "not served": they would do it in steps, and the first of them empties the ccache.
    this.#log.error(`internal error: ${(error as Error).stack}`);
    return errorCodes.KRB5_CC_WRITE.code;
  }
}
