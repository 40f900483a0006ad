import type { CredentialV5 } from './credential.ts';
import { CCAPIError } from './errors.ts';
import type { Data } from './fields.ts';
import {
  inferredNameType,
  type Principal,
  parsePrincipal,
  readPrincipal,
  readPrincipalText,
  unparsePrincipal,
  writePrincipal,
} from './principal.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** A credential as libkrb5 marshals it in FILE ccaches and over KCM: principals in their parts, bytes for bytes. */
export interface Krb5Credential extends Omit<CredentialV5, 'client' | 'server' | 'ticket' | 'secondTicket'> {
  client: Principal;
  server: Principal;
  ticket: Buffer;
  secondTicket: Buffer;
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

/** Reads a marshalled credential (FILE-CCACHE.md#credentials); throws 22 where it is short or a count cannot be true. */
export function readKrb5Credential(reader: Reader): Krb5Credential {
  const client = readPrincipal(reader);
  const server = readPrincipal(reader);
  const keyblock = { type: signed16(reader.u16()), data: reader.copy(reader.u32()) };
  const times = readTimes(reader);
  const isSkey = reader.u8();
  const ticketFlags = reader.u32();
  const addresses = readAddresses(reader);
  const authdata = readAuthdata(reader);
  const ticket = reader.copy(reader.u32());
  const secondTicket = reader.copy(reader.u32());
  return { client, server, keyblock, ...times, isSkey, ticketFlags, addresses, authdata, ticket, secondTicket };
}

/**
 * The bytes of the marshalled credential that comes next, as a copy of their own; throws 22 where it is short or a count
 * cannot be true. {@link unmarshalled} reads them, and its parts are parts of them.
 */
export function takeMarshalled(reader: Reader): Buffer {
  const start = reader.offset;
  for (let principals = 0; principals < 2; principals++) {
    reader.u32();
    const components = reader.count(4);
    for (let texts = -1; texts < components; texts++) reader.skip(reader.u32());
  }
  reader.u16();
  reader.skip(reader.u32());
  reader.skip(4 * 4 + 1 + 4);
  for (let lists = 0; lists < 2; lists++) {
    for (let left = reader.count(6); left > 0; left--) {
      reader.u16();
      reader.skip(reader.u32());
    }
  }
  for (let tickets = 0; tickets < 2; tickets++) reader.skip(reader.u32());
  return reader.copySince(start);
}

/** What {@link takeMarshalled} took, as the CCAPI has it: its parts are parts of these bytes, and not copies. */
export function credentialV5In(bytes: Buffer): CredentialV5 {
  const reader = new Reader(bytes, true);
  const client = readPrincipalText(reader);
  const server = readPrincipalText(reader);
  const keyblock = { type: signed16(reader.u16()), data: reader.copy(reader.u32()) };
  const authtime = reader.u32();
  const starttime = reader.u32();
  const endtime = reader.u32();
  const renewTill = reader.u32();
  const isSkey = reader.u8();
  const ticketFlags = reader.u32();
  const addresses = readAddresses(reader);
  const authdata = readAuthdata(reader);
  const ticket = { type: server.nameTypeWord, data: reader.copy(reader.u32()) };
  const secondTicket = { type: client.nameTypeWord, data: reader.copy(reader.u32()) };
  return {
    client: client.text,
    server: server.text,
    keyblock,
    authtime,
    starttime,
    endtime,
    renewTill,
    isSkey,
    ticketFlags,
    addresses,
    ticket,
    secondTicket,
    authdata,
  };
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

/** Writes a marshalled credential; throws 202 for a type number or `isSkey` that its 16 or 8 bits cannot hold. */
export function writeKrb5Credential(writer: Writer, credential: Krb5Credential): void {
  writePrincipal(writer, credential.client);
  writePrincipal(writer, credential.server);
  writeTyped(writer, credential.keyblock);
  for (const name of ['authtime', 'starttime', 'endtime', 'renewTill'] as const) writer.u32(credential[name]);
  if (credential.isSkey > 0xff) throw new CCAPIError('ccErrBadParam', `is_skey ${credential.isSkey} is above 255`);
  writer.u8(credential.isSkey).u32(credential.ticketFlags);
  for (const list of [credential.addresses, credential.authdata]) {
    writer.u32(list.length);
    for (const element of list) writeTyped(writer, element);
  }
  for (const ticket of [credential.ticket, credential.secondTicket]) writer.u32(ticket.length).bytes(ticket);
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

/** Enctypes and authorization data types are signed 16-bit numbers; as 32-bit patterns they keep their sign. */
export function signed16(value: number): number {
  return ((value << 16) >> 16) >>> 0;
}

/** The four times of a credential, in their order. */
export function readTimes(reader: Reader): Pick<CredentialV5, 'authtime' | 'starttime' | 'endtime' | 'renewTill'> {
  return { authtime: reader.u32(), starttime: reader.u32(), endtime: reader.u32(), renewTill: reader.u32() };
}

/** The addresses of a credential; their types are not signed. */
export function readAddresses(reader: Reader): Data[] {
  return readList(reader, (type) => type);
}

/** The authorization data of a credential. */
export function readAuthdata(reader: Reader): Data[] {
  return readList(reader, signed16);
}

function readList(reader: Reader, typeOf: (word: number) => number): Data[] {
  const count = reader.count(6);
  if (count === 0) return [];
  return Array.from({ length: count }, () => ({ type: typeOf(reader.u16()), data: reader.copy(reader.u32()) }));
}

function writeTyped(writer: Writer, { type, data }: Data): void {
  if (type > 0xffff && signed16(type) !== type) {
    throw new CCAPIError('ccErrBadParam', `type number ${type} does not fit in 16 bits`);
  }
  writer.u16(type).u32(data.length).bytes(data);
}
