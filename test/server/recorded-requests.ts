// Requests that were recorded of another server (test/proto/vectors), as if they were about this one's objects.
import { messages, type ObjectClass } from '../../proto/ccapi.ts';
import { readRequestHeader } from '../../proto/ccapi-codec.ts';
import { type Identifier, identifier, isInitialised, uninitialised } from '../../proto/identifier.ts';
import { Writer } from '../../proto/writer.ts';
import type { RawConnection } from './raw-connection.ts';

/** What the requests are about, by the worker's own identifiers. */
export type RecordedObjects = Record<ObjectClass, Identifier>;

/** What a request is answered with that names an object of another server (proto/CCAPI.md#requests-and-replies). */
export const errorOfForeign: Record<ObjectClass, number> = {
  context: 204,
  ccache: 205,
  ccacheIterator: 208,
  credentialsIterator: 209,
};

/** Makes one object of each class; the iterators go with the connection. */
export async function openObjects(connection: RawConnection): Promise<RecordedObjects> {
  const alice = { name: 'first', version: 2, principal: 'alice@R' } as const;
  const { ccache } = await connection.get('contextCreateCCache', uninitialised, alice);
  const { iterator } = await connection.get('contextNewCCacheIterator', uninitialised, {});
  const credentials = await connection.get('ccacheNewCredentialsIterator', ccache, {});
  return { context: uninitialised, ccache, ccacheIterator: iterator, credentialsIterator: credentials.iterator };
}

/** A request about an object that is there, if it was about one that was; and where its arguments begin. */
export function rebased(request: Buffer, objects: RecordedObjects): { payload: Buffer; argumentsAt: number } {
  const { number, name, object, arguments: reader } = readRequestHeader(request);
  const writer = new Writer().u32(number);
  identifier.write(writer, name && isInitialised(object) ? objects[messages[name].object] : object);
  const argumentsAt = writer.length;
  return { payload: writer.bytes(reader.view(reader.remaining)).finish(), argumentsAt };
}
