import type { Log } from '../../etc/host/log.ts';
import { type MessageName, messages, type ObjectClass, type Reply, type Request } from '../../proto/ccapi.ts';
import {
  errorFrame,
  type RequestHeader,
  readArguments,
  readRequestHeader,
  replyFrame,
} from '../../proto/ccapi-codec.ts';
import { CCAPIError, type ErrorName, errorCodes } from '../../proto/errors.ts';
import { type Identifier, isInitialised } from '../../proto/identifier.ts';
import { type Cancellable, cancelAll } from '../model/cancellation.ts';
import type { CCache } from '../model/ccache.ts';
import type { Collection } from '../model/collection.ts';
import type { Iterators } from '../model/iterators.ts';
import { type HandlerContext, handlers, type Objects } from './ccapi-handlers.ts';

/**
 * The error for an identifier of another server, and the one for an object that is not there
 * (proto/CCAPI.md#identifiers).
 */
const identifierErrors: Record<ObjectClass, { foreign: ErrorName; unknown: ErrorName }> = {
  context: { foreign: 'ccErrInvalidContext', unknown: 'ccErrInvalidContext' },
  ccache: { foreign: 'ccErrInvalidCCache', unknown: 'ccErrInvalidCCache' },
  // MIT answers 205 for an unknown ccache iterator, and clients go by it.
  ccacheIterator: { foreign: 'ccErrInvalidCCacheIterator', unknown: 'ccErrInvalidCCache' },
  credentialsIterator: { foreign: 'ccErrInvalidCredentialsIterator', unknown: 'ccErrInvalidCredentialsIterator' },
};

/** The name of a request with an unknown number, in the counts of the status frame. */
const UNKNOWN = 'unknown';

/** One connection that speaks CCAPI: turns its frames into calls on the model and their results into frames. */
export class CCAPISession implements HandlerContext {
  readonly collection: Collection;
  readonly iterators: Iterators;
  readonly owned = new Set<string>();
  readonly cancellables = new Set<Cancellable>();

  readonly #log: Log;
  readonly #onRequest: (name: string) => void;

  readonly findElsewhere: (name: string) => CCache | undefined;

  /** `onRequest` is told of each request, by its name; `findElsewhere` makes a ccache that the collection does not have yet. */
  constructor(
    collection: Collection,
    iterators: Iterators,
    log: Log,
    onRequest: (name: string) => void = () => {},
    findElsewhere: (name: string) => CCache | undefined = () => undefined,
  ) {
    this.#onRequest = onRequest;
    this.findElsewhere = findElsewhere;
    this.collection = collection;
    this.iterators = iterators;
    this.#log = log;
  }

  /**
   * Answers one request: whatever it is, there is a reply, with its length word; later where the request has to wait for a
   * lock or a change.
   */
  answer(frame: Buffer): Buffer | Promise<Buffer> {
    let header: RequestHeader | undefined;
    try {
      header = readRequestHeader(frame);
      const name = header.name as MessageName;
      this.#onRequest(header.name ?? UNKNOWN);
      const result = this.#handle(header);
      if (!(result instanceof Promise)) return replyFrame(name, result);
      return result.then((later) => replyFrame(name, later)).catch((error: unknown) => this.#refusal(error));
    } catch (error) {
      header?.arguments.wipeCopies();
      return this.#refusal(error);
    }
  }

  /** The connection is gone, and what it owns goes with it. */
  close(): void {
    cancelAll(this);
    for (const object of this.owned) this.iterators.release(object);
  }

  #refusal(error: unknown): Buffer {
    // What there is no room for, memory or disk, and which limit, is what a person has to know; other codes say it all.
    const isNoRoom = CCAPIError.is(error, 'ccErrNoMem');
    if (error instanceof CCAPIError) return errorFrame(error.code, isNoRoom ? error.reason : undefined);
    // A fault of ours costs this request, and not the user's tickets.
    this.#log.error(`internal error: ${(error as Error).stack}`);
    return errorFrame(errorCodes.ccErrBadInternalMessage.code);
  }

  #handle({ name, object, arguments: reader }: RequestHeader): Reply<never> | Promise<Reply<never>> {
    if (name === undefined) throw new CCAPIError('ccErrBadInternalMessage');
    const target = this.#target(messages[name].object, object);
    return this.#handler(name)(target, readArguments(name, reader), this);
  }

  /** The table is typed by message; here is the one place where the message is only known at run time. */
  #handler(name: MessageName) {
    return handlers[name] as (
      object: Objects[ObjectClass],
      request: Request<MessageName>,
      context: HandlerContext,
    ) => Reply<never> | Promise<Reply<never>>;
  }

  #target(objectClass: ObjectClass, identifier: Identifier): Objects[ObjectClass] {
    const errors = identifierErrors[objectClass];
    if (isInitialised(identifier) && identifier.server !== this.collection.identifier.server) {
      throw new CCAPIError(errors.foreign);
    }
    const target = this.#lookUp(objectClass, identifier);
    if (!target) throw new CCAPIError(errors.unknown);
    return target;
  }

  #lookUp(objectClass: ObjectClass, identifier: Identifier): Objects[ObjectClass] | undefined {
    if (objectClass === 'context') return this.collection;
    if (!isInitialised(identifier)) return undefined;
    if (objectClass === 'ccache') return this.collection.find(identifier);
    if (objectClass === 'ccacheIterator') return this.iterators.findCCacheIterator(identifier.object);
    return this.iterators.findCredentialsIterator(identifier.object);
  }
}
