import { type Field, type Layout, readFields, u32, type Values } from './fields.ts';
import { type Krb5Credential, takeMarshalled } from './krb5-credential.ts';
import { krb5Layout } from './krb5-layout.ts';
import { type Principal, readPrincipal, readPrincipalText, writePrincipal } from './principal.ts';
import type { Reader } from './reader.ts';
import { bytesFromText } from './text.ts';
import { Writer } from './writer.ts';

/**
 * The flags of RETRIEVE and REMOVE_CRED that decide what matches (KCM.md#matching-credentials); the values are
 * Heimdal's.
 */
export const matchFlags = {
  dontMatchRealm: 0x80000000,
  keytype: 0x40000000,
  serverNameOnly: 0x20000000,
  flagsExact: 0x10000000,
  flags: 0x08000000,
  timesExact: 0x04000000,
  times: 0x02000000,
  authdata: 0x01000000,
  secondTicket: 0x00800000,
  isSkey: 0x00400000,
} as const;

/** The longest reply that MIT's client reads, counted as its length word counts (KCM.md#requests-and-replies). */
export const MAX_REPLY = 10_485_760;

type ComparedFields = 'authtime' | 'starttime' | 'endtime' | 'renewTill' | 'isSkey' | 'ticketFlags' | 'authdata';

/**
 * A credential to match against (KCM.md#matching-credentials), its principals as text. What is absent constrains
 * nothing.
 */
export interface MatchingCredential extends Pick<Krb5Credential, ComparedFields | 'secondTicket'> {
  client: string | undefined;
  server: string | undefined;
  /** 0 where there is no key. */
  enctype: number;
}

/** A name: its bytes, then NUL. */
const name: Field<string> = {
  read: (reader) => {
    const length = reader.distanceTo(0);
    if (length < 0) throw reader.malformed('a name without its NUL');
    const text = reader.text(length);
    reader.skip(1);
    return text;
  },
  write: (writer, value) => writer.bytes(bytesFromText(value)).u8(0),
};

const i32: Field<number> = {
  read: (reader) => reader.i32(),
  write: (writer, value) => writer.u32(value),
};

const UUID_LENGTH = 16;

/** A UUID, as the 32 hexadecimal digits of its bytes. */
const uuid: Field<string> = {
  read: (reader) => reader.view(UUID_LENGTH).toString('hex'),
  write: (writer, value) => writer.bytes(Buffer.from(value, 'hex')),
};

/** UUIDs up to the end of the message. */
const uuidList: Field<string[]> = {
  read: (reader) => Array.from({ length: Math.floor(reader.remaining / UUID_LENGTH) }, () => uuid.read(reader)),
  write: (writer, values) => {
    for (const value of values) uuid.write(writer, value);
  },
};

const principal: Field<Principal> = { read: readPrincipal, write: writePrincipal };

/** A credential, in the bytes that it is marshalled as: most of them are passed on as they came. */
const credential: Field<Buffer> = { read: takeMarshalled, write: (writer, value) => writer.bytes(value) };

/** Credentials, each with its length before it; what is left within that length is ignored. */
const credentialList: Field<Buffer[]> = {
  read: (reader) => Array.from({ length: reader.count(4) }, () => credential.read(reader.part(reader.u32()))),
  write: (writer, values) => {
    writer.u32(values.length);
    for (const value of values) writer.u32(value.length).bytes(value);
  },
};

const present = {
  client: 0x01,
  server: 0x02,
  key: 0x04,
  ticket: 0x08,
  secondTicket: 0x10,
  authdata: 0x20,
  addresses: 0x40,
};

const matching: Field<MatchingCredential> = {
  read: readMatching,
  write: () => {
    throw new Error('only clients write matching credentials');
  },
};

/** The fields that are always there, and those that the header announces; addresses, key and ticket are not compared. */
function readMatching(reader: Reader): MatchingCredential {
  const header = reader.u32();
  const has = (bit: number) => (header & bit) !== 0;
  const { keyblock, authtime, starttime, endtime, renewTill, isSkey, ticketFlags, addresses, authdata } = krb5Layout;
  const client = has(present.client) ? readPrincipalText(reader).text : undefined;
  const server = has(present.server) ? readPrincipalText(reader).text : undefined;
  const enctype = has(present.key) ? keyblock.read(reader).type : 0;
  const always = readFields(reader, { authtime, starttime, endtime, renewTill, isSkey, ticketFlags });
  if (has(present.addresses)) addresses.skip(reader);
  const found = has(present.authdata) ? authdata.read(reader) : [];
  if (has(present.ticket)) krb5Layout.ticket.skip(reader);
  const secondTicket = has(present.secondTicket) ? reader.view(reader.u32()) : nothing;
  return { client, server, enctype, ...always, authdata: found, secondTicket };
}

const nothing = Buffer.alloc(0);

interface Operation<Request extends Layout, Reply extends Layout> {
  readonly number: number;
  readonly request: Request;
  readonly reply: Reply;
}

function operation<Request extends Layout, Reply extends Layout>(
  number: number,
  request: Request,
  reply: Reply,
): Operation<Request, Reply> {
  return { number, request, reply };
}

const none = {};

/**
 * Every operation that we serve, once (KCM.md#operations): all that MIT's and Heimdal's clients send but NTLM's. Any
 * other is answered KRB5_FCC_INTERNAL, which clients take for "not served".
 */
export const operations = {
  noop: operation(0, none, none),
  getName: operation(1, { name }, { name }),
  resolve: operation(2, none, none),
  genNew: operation(3, none, { name }),
  initialize: operation(4, { name, principal }, none),
  destroy: operation(5, { name }, none),
  store: operation(6, { name, credential }, none),
  retrieve: operation(7, { name, flags: u32, matching }, { credential }),
  getPrincipal: operation(8, { name }, { principal }),
  getCredUUIDList: operation(9, { name }, { uuids: uuidList }),
  getCredByUUID: operation(10, { name, uuid }, { credential }),
  removeCred: operation(11, { name, flags: u32, matching }, none),
  setFlags: operation(12, { name, flags: u32 }, none),
  moveCache: operation(17, { name, to: name }, none),
  getCacheUUIDList: operation(18, none, { uuids: uuidList }),
  getCacheByUUID: operation(19, { uuid }, { name }),
  getDefaultCache: operation(20, none, { name }),
  setDefaultCache: operation(21, { name }, none),
  getKDCOffset: operation(22, { name }, { offset: i32 }),
  setKDCOffset: operation(23, { name, offset: i32 }, none),
  getCredList: operation(13001, { name }, { credentials: credentialList }),
  replace: operation(13002, { name, offset: i32, principal, credentials: credentialList }, none),
} as const;

/** The name of an operation of the table. */
export type OperationName = keyof typeof operations;

/** What an operation carries to the server. */
export type OperationRequest<Name extends OperationName> = Values<(typeof operations)[Name]['request']>;

/** What a success carries back. */
export type OperationReply<Name extends OperationName> = Values<(typeof operations)[Name]['reply']>;

const names = new Map(Object.entries(operations).map(([key, { number }]) => [number, key as OperationName]));

/** The operation with this number, or undefined where we serve none. */
export function operationNumbered(number: number): OperationName | undefined {
  return names.get(number);
}

/** The version that stands before every opcode: 2.0. */
export const VERSION = 0x0200;

/** A successful reply as it travels: its length, counted from the inner status on, outer status 0, inner status 0. */
export function operationReply<Name extends OperationName>(operationName: Name, reply: OperationReply<Name>): Buffer {
  const writer = new Writer(64).u32(0).u32(0).u32(0);
  const layout: Layout = operations[operationName].reply;
  for (const field in layout)
    (layout[field] as Field<unknown>).write(writer, (reply as Record<string, unknown>)[field]);
  return writer.patchU32(0, writer.length - 8).finish();
}

/** A reply that carries an error. The outer status is always 0: with anything else in it MIT's client loses its place. */
export function operationError(code: number): Buffer {
  return new Writer(12).u32(4).u32(0).u32(code).finish();
}
