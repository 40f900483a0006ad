import { CCAPIError } from './errors.ts';
import { type Data, data, dataArray, type Field, readFields, string, time, u32, writeFields } from './fields.ts';

/** The only credentials version there is: `cc_credentials_v5` (CCAPI.md#constants). */
export const CREDENTIALS_V5 = 2;

/**
 * A version 5 credential as the CCAPI has it. Nothing in it is checked or interpreted by a server. Times are unsigned
 * 32-bit seconds since 1970, 0 for "not set"; `ticketFlags` has flag 0 as its most significant bit; signed type
 * numbers are carried as their unsigned 32-bit pattern.
 */
export interface CredentialV5 {
  /** The principal that the ticket was issued to, as `krb5_unparse_name` writes it. */
  client: string;
  /** The service's principal, written alike; in a realm of X-CACHECONF: an entry of libkrb5's own, and no ticket. */
  server: string;
  /** The session key; its type is the enctype. */
  keyblock: Data;
  /** When the client proved its identity to the KDC. */
  authtime: number;
  /** When the ticket begins to be valid; 0: at `authtime`. */
  starttime: number;
  /** When it ends to be valid. */
  endtime: number;
  /** Until when it can be renewed. */
  renewTill: number;
  /** Not 0: a user-to-user ticket. Any value is carried. */
  isSkey: number;
  /** The flags of RFC 4120 5.3. */
  ticketFlags: number;
  /** The addresses that the ticket may be used from; none: from any. */
  addresses: Data[];
  /** The ticket, in DER; its type is 0. */
  ticket: Data;
  /** The ticket with the session key that encrypts a user-to-user ticket; else empty. */
  secondTicket: Data;
  /** Authorization data that the client asked for. */
  authdata: Data[];
}

/**
 * The fields of the body (CCAPI.md#credentials): mind that the addresses stand before the tickets and the authorization data after
 * them.
 */
export const credentialFields = {
  client: string,
  server: string,
  keyblock: data,
  authtime: time,
  starttime: time,
  endtime: time,
  renewTill: time,
  isSkey: u32,
  ticketFlags: u32,
  addresses: dataArray,
  ticket: data,
  secondTicket: data,
  authdata: dataArray,
} satisfies { [Name in keyof CredentialV5]: Field<CredentialV5[Name]> };

/**
 * The credential union (CCAPI.md#credentials): a version word, then the body. Any version but 5's is 212, and nothing
 * more is read.
 */
export const credentialUnion: Field<CredentialV5> = {
  read: (reader) => {
    onlyV5.read(reader);
    return readFields(reader, credentialFields);
  },
  write: (writer, value) => {
    onlyV5.write(writer, CREDENTIALS_V5);
    writeFields(writer, credentialFields, value);
  },
};

/** A version word that is looked at before what follows it is read: any but 5's is 212 at once (messages 22, 31 to 33). */
export const onlyV5: Field<number> = {
  read: (reader) => requireV5(reader.u32()),
  write: (writer, value) => writer.u32(requireV5(value)),
};

/** Returns `version` if it is exactly 2; anything else, 3 included, is 212. */
export function requireV5(version: number): number {
  if (version !== CREDENTIALS_V5) {
    throw new CCAPIError('ccErrBadCredentialsVersion', `credentials version ${version} is not supported, only 2 is`);
  }
  return version;
}
