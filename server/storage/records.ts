import { type CredentialV5, credentialUnion } from '../../proto/credential.ts';
import { CCAPIError } from '../../proto/errors.ts';
import {
  blanked,
  CONFIG_REALM,
  credentialV5In,
  fromCredentialV5,
  isRemoved,
  type Krb5Credential,
  marshalled as marshal,
  takeMarshalled,
  unmarshalled,
  writeKrb5Credential,
} from '../../proto/krb5-credential.ts';
import { signed16 } from '../../proto/krb5-layout.ts';
import { unparsePrincipal } from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import { Writer } from '../../proto/writer.ts';
import type { StoredCredential } from '../model/credential-list.ts';
import type { NewCredential } from '../model/storage.ts';
import { type Heading, readHeading, writeHeading } from './heading.ts';

/** The first component of the server principal of every configuration entry. */
const CONFIG_NAME = 'krb5_ccache_conf_data';

/**
 * What a ccache's file consists of behind its header, one entry of a FILE ccache each. What a FILE ccache has no form for
 * is a configuration entry, which every reader of such files passes over (proto/FILE-CCACHE.md#configuration-entries).
 */
type FileRecord =
  /** What the file is; undefined where the entry is damaged. */
  | { kind: 'heading'; heading: Heading | undefined }
  /** A credential, which has the next index of the list. */
  | ({ kind: 'credential' } & NewCredential)
  /** A credential that was removed, or an entry of ours that is damaged; it has an index too. */
  | { kind: 'erased' | 'damaged' }
  /** Indexes of credentials that are removed: at once, or by the next record and only together with it. */
  | { kind: 'removed' | 'replaced'; indexes: number[] }
  /** So many indexes are left out. */
  | { kind: 'skipped'; count: number };

/** What the keys of our configuration entries begin with. */
const OUR_KEYS = 'ccapi_';

/** How the server principals of our entries begin, as text. */
const OUR_SERVERS = `${CONFIG_NAME}/${OUR_KEYS}`;

/** How those of versions up to 0.2 end, which were marked as removed entries. */
const FORMER_SERVERS = '@X-CCAPI:';
const formerKinds = new Map(Object.entries({ v5: 'cred', gone: 'removed', replaced: 'replaced', skipped: 'skipped' }));

/** Indexes have 32 bits in the file, and more of them follow. */
const MAX_SKIPPED = 2 ** 31;

/** How long the shortest record is, in bytes. */
const SHORTEST = 67;

/** What stands in the auth time of an entry that libkrb5 takes for a removed one. */
const REMOVED = 0xffff_ffff;

const us = { nameType: 1, realm: CONFIG_REALM, components: ['ccapi'] };
const OUR_CLIENT = unparsePrincipal(us);
const nothing = Buffer.alloc(0);

/** The entry that tells what the file is. */
export function headingRecord(heading: Heading): Buffer {
  return ourEntry('ccache', writeHeading(heading));
}

/** A credential as libkrb5 writes it where that form can hold it, else an entry of ours with the CCAPI's form. */
export function credentialRecord(stored: NewCredential): Buffer {
  const plain = plainForm(stored);
  if (plain) return Buffer.isBuffer(plain) ? plain : marshal(plain);
  const payload = inCCAPIForm(stored.value);
  const entry = ourEntry('cred', payload);
  payload.fill(0);
  return entry;
}

/** Writes a credential as libkrb5 does, and nothing where that form cannot hold it. */
export function writePlainRecord(writer: Writer, stored: NewCredential): void {
  const plain = plainForm(stored);
  if (Buffer.isBuffer(plain)) writer.bytes(plain);
  else if (plain) writeKrb5Credential(writer, plain);
}

/** What is written over the record of a credential that is removed: as long as that, and without its secrets. */
export function erasedRecord(stored: NewCredential): Buffer {
  const plain = plainForm(stored);
  if (!plain) return ourEntry('void', Buffer.alloc(inCCAPIForm(stored.value).length));
  const credential = Buffer.isBuffer(plain) ? unmarshalled(plain) : plain;
  return marshal({ ...blanked(credential), authtime: REMOVED, endtime: 0 });
}

/** Indexes of the list that are removed. */
export function removalRecord(kind: 'removed' | 'replaced', credentials: readonly StoredCredential[]): Buffer {
  const indexes = new Writer(credentials.length * 4);
  for (const { index } of credentials) indexes.u32(index);
  return ourEntry(kind, indexes.finish());
}

/** Indexes of the list that are left out. */
export function skippedRecord(count: number): Buffer {
  return ourEntry('skipped', new Writer(4).u32(count).finish());
}

/**
 * Reads the next record; undefined where its end is missing, or where there are zeros: a half-written end is overwritten
 * before it is cut off. One that makes no sense otherwise is a damaged record, and costs no other.
 */
export function readRecord(reader: Reader): FileRecord | undefined {
  let marshalled: Buffer | undefined;
  try {
    marshalled = takeMarshalled(reader);
    if (marshalled.length === SHORTEST && marshalled.every((byte) => byte === 0)) return undefined;
    const value = credentialV5In(marshalled);
    const kind = ourKind(value);
    if (kind !== undefined) return readOurs(kind, value.ticket.data);
    return isRemoved(value) ? { kind: 'erased' } : { kind: 'credential', value, marshalled };
  } catch (error) {
    if (!CCAPIError.is(error)) throw error;
    return marshalled && { kind: 'damaged' };
  }
}

/** What an entry is by the key of its server principal; undefined for one that is none of ours. */
function ourKind(value: CredentialV5): string | undefined {
  const { client, server } = value;
  if (server.startsWith(OUR_SERVERS)) return server.slice(OUR_SERVERS.length, -`@${CONFIG_REALM}`.length);
  if (client === OUR_CLIENT) return 'damaged';
  if (!server.endsWith(FORMER_SERVERS) || !isRemoved(value)) return undefined;
  return formerKinds.get(server.slice(0, -FORMER_SERVERS.length));
}

function readOurs(kind: string, payload: Buffer): FileRecord {
  const reader = new Reader(payload);
  switch (kind) {
    case 'ccache':
      return { kind: 'heading', heading: readHeading(payload) };
    case 'cred':
      return readCCAPIForm(reader, payload);
    case 'skipped': {
      const count = reader.u32();
      return count <= MAX_SKIPPED ? { kind, count } : { kind: 'damaged' };
    }
    case 'removed':
    case 'replaced':
      return { kind, indexes: Array.from({ length: payload.length / 4 }, () => reader.u32()) };
    default:
      return { kind: kind === 'void' ? 'erased' : 'damaged' };
  }
}

function readCCAPIForm(reader: Reader, payload: Buffer): FileRecord {
  try {
    return { kind: 'credential', value: credentialUnion.read(reader), marshalled: undefined };
  } finally {
    // What was read is a copy.
    payload.fill(0);
  }
}

/** An entry such as `krb5_cc_set_config` writes. */
function ourEntry(key: string, payload: Buffer): Buffer {
  return marshal({
    client: us,
    server: { nameType: 0, realm: CONFIG_REALM, components: [CONFIG_NAME, `${OUR_KEYS}${key}`] },
    keyblock: { type: 0, data: nothing },
    authtime: 0,
    starttime: 0,
    endtime: 0,
    renewTill: 0,
    isSkey: 0,
    ticketFlags: 0,
    addresses: [],
    authdata: [],
    ticket: payload,
    secondTicket: nothing,
  });
}

function inCCAPIForm(value: CredentialV5): Buffer {
  const writer = new Writer(1024 + value.ticket.data.length);
  credentialUnion.write(writer, value);
  return writer.finish();
}

/** Whether the record of a credential could be taken for a removed entry, for one of ours, or for zeros. */
function isAmbiguous(value: CredentialV5): boolean {
  const { client, server } = value;
  if (client === '@' && server === '@') return true;
  return isRemoved(value) || client === OUR_CLIENT || server.startsWith(OUR_SERVERS) || server.endsWith(FORMER_SERVERS);
}

/** The form of libkrb5 if nothing is lost by it; the bytes that a credential came as, where there are any. */
function plainForm({ value, marshalled }: NewCredential): Buffer | Krb5Credential | undefined {
  if (isAmbiguous(value)) return undefined;
  if (marshalled) return marshalled;
  if (value.isSkey > 0xff || !fitsTypes(value)) return undefined;
  try {
    const credential = fromCredentialV5(value);
    const same =
      unparsePrincipal(credential.client) === value.client && unparsePrincipal(credential.server) === value.server;
    return same ? credential : undefined;
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrBadParam')) return undefined;
    throw error;
  }
}

/** Whether the type numbers come back as they are: those of addresses are not signed, the others are. */
function fitsTypes({ keyblock, addresses, authdata }: CredentialV5): boolean {
  return (
    signed16(keyblock.type) === keyblock.type &&
    authdata.every(({ type }) => signed16(type) === type) &&
    addresses.every(({ type }) => type <= 0xffff)
  );
}
