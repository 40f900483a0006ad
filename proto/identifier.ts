import { type Field, string } from './fields.ts';

/**
 * Names one object of one server. Both parts are opaque: compared byte by byte, never parsed
 * (CCAPI.md#identifiers). `server` is made when a server is born, `object` when the object is.
 */
export interface Identifier {
  /** Which server's. */
  readonly server: string;
  /** Which of its objects. */
  readonly object: string;
}

/** What a server knows by an identifier. */
export interface Identified {
  /** What names it there. */
  readonly identifier: Identifier;
}

/**
 * What stands for "whatever collection you have": every server accepts it as the object of a context message
 * (CCAPI.md#identifiers).
 */
export const uninitialised: Identifier = { server: 'NEEDS_SYNC', object: 'NEEDS_SYNC' };

/** Whether two identifiers name the same object. */
export function sameIdentifier(a: Identifier, b: Identifier): boolean {
  return a.object === b.object && a.server === b.server;
}

/** Whether an identifier names a server at all; decided on the server part alone. */
export function isInitialised(identifier: Identifier): boolean {
  return identifier.server !== uninitialised.server;
}

/** An identifier in a message. */
export const identifier: Field<Identifier> = {
  read: (reader) => ({ server: string.read(reader), object: string.read(reader) }),
  write: (writer, value) => {
    string.write(writer, value.server);
    string.write(writer, value.object);
  },
};
