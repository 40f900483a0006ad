import { type CredentialV5, credentialUnion } from '../../proto/credential-v5.ts';
import { CCAPIError } from '../../proto/error.ts';
import {
  credentialV5In,
  fromCredentialV5,
  isRemoved,
  type Krb5Credential,
  signed16,
  takeMarshalled,
  unmarshalled,
  writeKrb5Credential,
} from '../../proto/krb5-credential.ts';
import { unparsePrincipal } from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import { Writer } from '../../proto/writer.ts';
import type { NewCredential } from './storage.ts';

/**
 * What a kept list consists of, one entry of a FILE ccache each. Those that a FILE ccache has no form for are entries that
 * libkrb5 takes for removed ones, and passes over (KCM specification 5.6).
 */
export type KeptRecord =
  /** A credential, which has the next number of the list. */
  | ({ kind: 'credential' } & NewCredential)
  /** One that was removed; it has a number too. */
  | { kind: 'erased' }
  /** The numbers of credentials that are removed: at once, or by the next record and only together with it. */
  | { kind: 'gone' | 'replaced'; indexes: number[] }
  /** So many numbers are left out. */
  | { kind: 'skipped'; count: number };

/** The realm of the server principal by which our own entries are known. */
const OUR_REALM = 'X-CCAPI:';

/** What stands in the auth time of a removed entry. */
const REMOVED = 0xffff_ffff;

const nobody = { nameType: 0, realm: '', components: [] };
const nothing = Buffer.alloc(0);

/** A credential as it is kept: as libkrb5 writes it where its form can hold it, else in the CCAPI's. */
export function credentialRecord({ value, marshalled }: NewCredential): Buffer {
  // What came as a removed entry is none, and libkrb5 would take it for one.
  if (marshalled && !isRemoved(value)) return marshalled;
  const writer = new Writer(1024 + value.ticket.data.length);
  const credential = asKrb5(value);
  if (credential) writeKrb5Credential(writer, credential);
  else {
    const payload = inCCAPIForm(value);
    writeOurs(writer, 'v5', payload);
    payload.fill(0);
  }
  return writer.finish();
}

/** What is written over a credential's record when it is removed: as long as that, and nothing secret in it. */
export function erasedRecord({ value, marshalled }: NewCredential): Buffer {
  const blank = (data: Buffer) => Buffer.alloc(data.length);
  const writer = new Writer(1024 + value.ticket.data.length);
  const credential = marshalled && !isRemoved(value) ? unmarshalled(marshalled) : asKrb5(value);
  if (credential) {
    writeKrb5Credential(writer, {
      ...credential,
      keyblock: { type: credential.keyblock.type, data: blank(credential.keyblock.data) },
      ticket: blank(credential.ticket),
      secondTicket: blank(credential.secondTicket),
      authtime: REMOVED,
      endtime: 0,
    });
  } else writeOurs(writer, 'xx', blank(inCCAPIForm(value)));
  return writer.finish();
}

/** Numbers of the list that are removed. */
export function goneRecord(kind: 'gone' | 'replaced', indexes: readonly number[]): Buffer {
  const numbers = new Writer(indexes.length * 4);
  for (const index of indexes) numbers.u32(index);
  const writer = new Writer(128 + numbers.length);
  writeOurs(writer, kind, numbers.finish());
  return writer.finish();
}

/** Numbers that are left out. */
export function skippedRecord(count: number): Buffer {
  const writer = new Writer(128);
  writeOurs(writer, 'skipped', new Writer(4).u32(count).finish());
  return writer.finish();
}

/** Reads a record; throws 22 where it is short or makes no sense. */
export function readRecord(reader: Reader): KeptRecord {
  const marshalled = takeMarshalled(reader);
  const value = credentialV5In(marshalled);
  if (!isRemoved(value)) return { kind: 'credential', value, marshalled };
  const credential = unmarshalled(marshalled);
  const [kind] = credential.server.components;
  if (credential.server.realm !== OUR_REALM) return { kind: 'erased' };
  const payload = new Reader(credential.ticket);
  if (kind === 'v5') {
    const value = credentialUnion.read(payload);
    marshalled.fill(0);
    return { kind: 'credential', value, marshalled: undefined };
  }
  if (kind === 'skipped') return { kind, count: payload.u32() };
  if (kind === 'gone' || kind === 'replaced') {
    return { kind, indexes: Array.from({ length: payload.remaining / 4 }, () => payload.u32()) };
  }
  return { kind: 'erased' };
}

function writeOurs(writer: Writer, kind: string, payload: Buffer): void {
  writeKrb5Credential(writer, {
    client: nobody,
    server: { nameType: 0, realm: OUR_REALM, components: [kind] },
    keyblock: { type: 0, data: nothing },
    authtime: REMOVED,
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

/** The form of libkrb5 if nothing is lost by it, and libkrb5 would not take it for a removed entry. */
function asKrb5(value: CredentialV5): Krb5Credential | undefined {
  if (value.isSkey > 0xff || isRemoved(value) || !fitting(value)) return undefined;
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
function fitting({ keyblock, addresses, authdata }: CredentialV5): boolean {
  return (
    signed16(keyblock.type) === keyblock.type &&
    authdata.every(({ type }) => signed16(type) === type) &&
    addresses.every(({ type }) => type <= 0xffff)
  );
}
