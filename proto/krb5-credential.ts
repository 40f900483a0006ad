import type { CredentialV5 } from './credential.ts';
import { readFields, writeFields } from './fields.ts';
import { type Krb5Credential, krb5Layout, type MarshalledField } from './krb5-layout.ts';
import {
  inferredNameType,
  type Principal,
  type PrincipalText,
  parsePrincipal,
  readPrincipalText,
  skipPrincipal,
  unparsePrincipal,
} from './principal.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

export type { Krb5Credential } from './krb5-layout.ts';

/** The fields where their types do not matter. */
const fields = Object.entries(krb5Layout) as unknown as [keyof Krb5Credential, MarshalledField<unknown>][];

/** The same fields with principals as text, which is far less work to read; only parts are written. */
const textLayout = { ...krb5Layout, client: textOfPrincipal(), server: textOfPrincipal() };

function textOfPrincipal(): MarshalledField<PrincipalText> {
  return {
    read: readPrincipalText,
    skip: skipPrincipal,
    write: () => {
      throw new Error('principals are written in their parts');
    },
  };
}

/**
 * The server realm of a configuration entry: a pseudo-credential with a setting as its ticket
 * (FILE-CCACHE.md#configuration-entries).
 */
export const CONFIG_REALM = 'X-CACHECONF:';

/** Whether a server principal's text names a configuration entry rather than a service. */
export function isConfigServer(server: string): boolean {
  return server.startsWith('krb5_ccache_conf_data/') && server.endsWith(`@${CONFIG_REALM}`);
}

/**
 * libkrb5 removes an entry of a file in place: end time 0 with an auth time that is not
 * (FILE-CCACHE.md#removed-entries).
 */
export function isRemoved({ authtime, endtime }: Pick<CredentialV5, 'authtime' | 'endtime'>): boolean {
  return endtime === 0 && authtime !== 0;
}

/** Reads a marshalled credential; throws 22 where it is short or a count cannot be true. */
export function readKrb5Credential(reader: Reader): Krb5Credential {
  return readFields(reader, krb5Layout);
}

/** Writes a marshalled credential; throws 202 for a type number or `isSkey` that its 16 or 8 bits cannot hold. */
export function writeKrb5Credential(writer: Writer, credential: Krb5Credential): void {
  writeFields(writer, krb5Layout, credential);
}

/**
 * The bytes of the marshalled credential that comes next, as a copy of their own; throws 22 where it is short or a count
 * cannot be true. {@link unmarshalled} and {@link credentialV5In} read them.
 */
export function takeMarshalled(reader: Reader): Buffer {
  const start = reader.offset;
  for (const [, field] of fields) field.skip(reader);
  return reader.copySince(start);
}

/** Reads a credential; its parts are views of these bytes, and not copies. */
export function unmarshalled(bytes: Buffer): Krb5Credential {
  return readKrb5Credential(new Reader(bytes, true));
}

/** The bytes of a credential; throws as {@link writeKrb5Credential} does. */
export function marshalled(credential: Krb5Credential): Buffer {
  const writer = new Writer(256 + credential.ticket.length + credential.secondTicket.length);
  try {
    writeKrb5Credential(writer, credential);
  } catch (error) {
    writer.wipe();
    throw error;
  }
  return writer.finish();
}

/** A credential as long as the one given, without its secrets: the session key and both tickets are zeros. */
export function blanked(credential: Krb5Credential): Krb5Credential {
  const blank: Record<string, unknown> = { ...credential };
  for (const [name, field] of fields) if (field.blank) blank[name] = field.blank(blank[name]);
  return blank as unknown as Krb5Credential;
}

/** What {@link takeMarshalled} took, as the CCAPI has it: its parts are views of these bytes, and not copies. */
export function credentialV5In(bytes: Buffer): CredentialV5 {
  const read = readFields(new Reader(bytes, true), textLayout);
  const { client, server } = read;
  // Named one by one: taking the rest of an object costs more than all of the reading.
  return {
    client: client.text,
    server: server.text,
    keyblock: read.keyblock,
    authtime: read.authtime,
    starttime: read.starttime,
    endtime: read.endtime,
    renewTill: read.renewTill,
    isSkey: read.isSkey,
    ticketFlags: read.ticketFlags,
    addresses: read.addresses,
    ticket: { type: server.nameTypeWord, data: read.ticket },
    secondTicket: { type: client.nameTypeWord, data: read.secondTicket },
    authdata: read.authdata,
  };
}

/**
 * A marshalled credential as the CCAPI has it. The CCAPI has no place for name types, but the tickets' type words,
 * "0 by convention", are carried as given and never read: the server's name type travels in the ticket's word and
 * the client's in the second ticket's, each as its difference (XOR) from what the text of the principal implies.
 */
export function toCredentialV5(credential: Krb5Credential): CredentialV5 {
  const { client, server, ticket, secondTicket, ...same } = credential;
  return {
    ...same,
    client: unparsePrincipal(client),
    server: unparsePrincipal(server),
    ticket: { type: nameTypeWord(server), data: ticket },
    secondTicket: { type: nameTypeWord(client), data: secondTicket },
  };
}

/** The inverse of {@link toCredentialV5}; throws 202 for principals that cannot be parsed. */
export function fromCredentialV5(credential: CredentialV5): Krb5Credential {
  const { client, server, ticket, secondTicket, ...same } = credential;
  return {
    ...same,
    client: withNameTypeWord(parsePrincipal(client), secondTicket.type),
    server: withNameTypeWord(parsePrincipal(server), ticket.type),
    ticket: ticket.data,
    secondTicket: secondTicket.data,
  };
}

function nameTypeWord({ nameType, components }: Principal): number {
  return (nameType ^ inferredNameType(components)) >>> 0;
}

function withNameTypeWord(principal: Principal, word: number): Principal {
  return { ...principal, nameType: (word ^ inferredNameType(principal.components)) | 0 };
}
