import { CCAPIError } from './errors.ts';
import type { Reader } from './reader.ts';
import { bytesFromText } from './text.ts';
import type { Writer } from './writer.ts';

/** How one kind of value travels. Reading throws 22 (`malformed`) where the bytes are not such a value. */
export interface Field<T> {
  read(reader: Reader): T;
  write(writer: Writer, value: T): void;
}

/** The fields of a message in the order in which they travel. */
// biome-ignore lint/suspicious/noExplicitAny: a field of any type has to fit, and Field is invariant.
export type Layout = Record<string, Field<any>>;

/** The object that a layout reads and writes. */
export type Values<L extends Layout> = { [Name in keyof L]: L[Name] extends Field<infer T> ? T : never };

/** Reads the fields of a layout in their order. */
export function readFields<L extends Layout>(reader: Reader, layout: L): Values<L> {
  const values: Record<string, unknown> = {};
  for (const name in layout) values[name] = (layout[name] as Field<unknown>).read(reader);
  return values as Values<L>;
}

/** Writes the fields of a layout in their order. */
export function writeFields<L extends Layout>(writer: Writer, layout: L, values: Values<L>): void {
  for (const name in layout) (layout[name] as Field<unknown>).write(writer, values[name]);
}

/** An unsigned 32-bit number. */
export const u32: Field<number> = {
  read: (reader) => reader.u32(),
  write: (writer, value) => writer.u32(value),
};

/**
 * Seconds as the API has them, unsigned 32 bits; 64 bits on the wire, of which a reader drops the upper half, so that
 * a sign-extended negative KDC offset is taken as well (CCAPI.md#types).
 */
export const time: Field<number> = {
  read: (reader) => {
    reader.u32();
    return reader.u32();
  },
  write: (writer, value) => writer.u32(0).u32(value),
};

/**
 * Text with its length and a final NUL, both counted. Refused: length 0, no NUL at the end, a NUL before the end
 * (MIT reads past its buffer, or cuts the text there).
 */
export const string: Field<string> = {
  read: (reader) => {
    const length = reader.u32();
    if (length === 0 || length > reader.remaining || reader.distanceTo(0) !== length - 1)
      throw reader.malformed('a string without its NUL, or with another');
    const text = reader.text(length - 1);
    reader.skip(1);
    return text;
  },
  write: (writer, value) => {
    const bytes = bytesFromText(value);
    if (bytes.includes(0)) throw new CCAPIError('ccErrBadParam', 'a name or principal must not contain NUL');
    writer
      .u32(bytes.length + 1)
      .bytes(bytes)
      .u8(0);
  },
};

/** Typed bytes: a key with its enctype, an address with its type, and so on. Null and empty are the same. */
export interface Data {
  /** What kind of bytes they are, unsigned. */
  type: number;
  /** The bytes themselves. */
  data: Buffer;
}

/** One {@link Data}; its bytes are a copy of their own. */
export const data: Field<Data> = {
  read: (reader) => ({ type: reader.u32(), data: reader.copy(reader.u32()) }),
  write: (writer, value) => writer.u32(value.type).u32(value.data.length).bytes(value.data),
};

/** A list of {@link Data}; a null list and an empty one are the same. */
export const dataArray: Field<Data[]> = {
  read: (reader) => Array.from({ length: reader.count(8) }, () => data.read(reader)),
  write: (writer, values) => {
    writer.u32(values.length);
    for (const value of values) data.write(writer, value);
  },
};
