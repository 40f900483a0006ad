import { type MessageName, messageNumbered, messages, type Reply, type Request } from './ccapi.ts';
import { CCAPIError } from './errors.ts';
import { type Layout, readFields, string, type Values, writeFields } from './fields.ts';
import { FRAME_HEADER } from './framing.ts';
import { type Identifier, identifier } from './identifier.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** The header of a request (CCAPI.md#requests-and-replies), and the reader standing at its arguments. */
export interface RequestHeader {
  number: number;
  /** Undefined for a number that is no message. */
  name: MessageName | undefined;
  object: Identifier;
  arguments: Reader;
}

/** Reads the header of a request; throws 227 where there is none to read. */
export function readRequestHeader(frame: Buffer): RequestHeader {
  const reader = new Reader(frame);
  try {
    const number = reader.u32();
    return { number, name: messageNumbered(number), object: identifier.read(reader), arguments: reader };
  } catch (error) {
    throw new CCAPIError('ccErrBadInternalMessage', 'the header of a request cannot be read', { cause: error });
  }
}

/** Reads the arguments of a message; throws 22 where they are short or malformed. What follows them is ignored. */
export function readArguments<Name extends MessageName>(name: Name, reader: Reader): Request<Name> {
  return readFields(reader, messages[name].request as Layout) as Request<Name>;
}

/** A whole request as a frame, with its length word. */
export function requestFrame<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>): Buffer {
  return frame(512, (writer) => {
    writer.u32(messages[name].number);
    identifier.write(writer, object);
    writeFields(writer, messages[name].request as Layout, request as Values<Layout>);
  });
}

/** A successful reply as a frame, with its length word. */
export function replyFrame<Name extends MessageName>(name: Name, reply: Reply<Name>): Buffer {
  return frame(512, (writer) => {
    writer.u32(0);
    writeFields(writer, messages[name].reply as Layout, reply as Values<Layout>);
  });
}

/** The longest reason, in characters. */
const MAX_REASON = 500;

/** A reply that carries an error: its number, and a reason for a person where there is more to say than the number does. */
export function errorFrame(code: number, reason?: string): Buffer {
  return frame(8, (writer) => {
    writer.u32(code);
    if (reason !== undefined) string.write(writer, reason.replaceAll('\0', ' ').slice(0, MAX_REASON));
  });
}

/** Reads a reply; throws the error it carries, or 22 where it is too short for its results. */
export function readReply<Name extends MessageName>(name: Name, payload: Buffer): Reply<Name> {
  const reader = new Reader(payload);
  const code = reader.i32();
  if (code !== 0) throw new CCAPIError(code, readReason(reader));
  return readFields(reader, messages[name].reply as Layout) as Reply<Name>;
}

/** A reason that makes no sense is none. */
function readReason(reader: Reader): string | undefined {
  try {
    return reader.remaining > 0 ? string.read(reader) : undefined;
  } catch {
    return undefined;
  }
}

function frame(sizeHint: number, write: (writer: Writer) => void): Buffer {
  const writer = new Writer(sizeHint).u32(0);
  write(writer);
  return writer.patchU32(0, writer.length - FRAME_HEADER).finish();
}
