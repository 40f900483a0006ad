import type { CredentialV5 } from './credential.ts';
import { CCAPIError } from './errors.ts';
import { type Data, type Field, u32 } from './fields.ts';
import { type Principal, readPrincipal, skipPrincipal, writePrincipal } from './principal.ts';
import type { Reader } from './reader.ts';

/** One field of a marshalled credential. */
export interface MarshalledField<T> extends Field<T> {
  /** Moves on behind the field without a copy of it. Throws 22 where it is cut short. */
  skip(reader: Reader): void;
  /** The value as long as it was, without what is secret in it; missing where nothing is. */
  blank?(value: T): T;
}

const word: MarshalledField<number> = { ...u32, skip: (reader) => reader.skip(4) };

const octet: MarshalledField<number> = {
  read: (reader) => reader.u8(),
  skip: (reader) => reader.skip(1),
  write: (writer, value) => {
    if (value > 0xff) throw new CCAPIError('ccErrBadParam', `is_skey ${value} is above 255`);
    writer.u8(value);
  },
};

const bytes: MarshalledField<Buffer> = {
  read: (reader) => reader.copy(reader.u32()),
  skip: (reader) => reader.skip(reader.u32()),
  write: (writer, value) => writer.u32(value.length).bytes(value),
  blank: (value) => Buffer.alloc(value.length),
};

const principal: MarshalledField<Principal> = { read: readPrincipal, skip: skipPrincipal, write: writePrincipal };

/** Enctypes and authorization data types are signed 16-bit numbers; as 32-bit patterns they keep their sign. */
export function signed16(value: number): number {
  return ((value << 16) >> 16) >>> 0;
}

/** Bytes with a 16-bit type, signed or not. */
function typed(typeOf: (word: number) => number): MarshalledField<Data> {
  return {
    read: (reader) => ({ type: typeOf(reader.u16()), data: bytes.read(reader) }),
    skip: (reader) => {
      reader.skip(2);
      bytes.skip(reader);
    },
    write: (writer, { type, data }) => {
      if (type > 0xffff && signed16(type) !== type) {
        throw new CCAPIError('ccErrBadParam', `type number ${type} does not fit in 16 bits`);
      }
      bytes.write(writer.u16(type), data);
    },
    blank: ({ type, data }) => ({ type, data: Buffer.alloc(data.length) }),
  };
}

/** A count, then so many elements, each of six bytes at least. Addresses and authorization data are no secrets. */
function listOf({ read, skip, write }: MarshalledField<Data>): MarshalledField<Data[]> {
  return {
    read: (reader) => {
      const count = reader.count(6);
      return count === 0 ? [] : Array.from({ length: count }, () => read(reader));
    },
    skip: (reader) => {
      for (let left = reader.count(6); left > 0; left--) skip(reader);
    },
    write: (writer, values) => {
      writer.u32(values.length);
      for (const value of values) write(writer, value);
    },
  };
}

/** A credential as libkrb5 marshals it in FILE ccaches and over KCM: principals in their parts, bytes for bytes. */
export interface Krb5Credential extends Omit<CredentialV5, 'client' | 'server' | 'ticket' | 'secondTicket'> {
  client: Principal;
  server: Principal;
  ticket: Buffer;
  secondTicket: Buffer;
}

/**
 * The fields of a marshalled credential in their order (FILE-CCACHE.md#credentials): the one description by which it is
 * read, skipped, written and blanked. Types of addresses are not signed, the others are.
 */
export const krb5Layout = {
  client: principal,
  server: principal,
  keyblock: typed(signed16),
  authtime: word,
  starttime: word,
  endtime: word,
  renewTill: word,
  isSkey: octet,
  ticketFlags: word,
  addresses: listOf(typed((type) => type)),
  authdata: listOf(typed(signed16)),
  ticket: bytes,
  secondTicket: bytes,
} satisfies { [Name in keyof Krb5Credential]: MarshalledField<Krb5Credential[Name]> };
