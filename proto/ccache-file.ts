import { CCAPIError } from './errors.ts';
import { toVersion4 } from './former-ccache-file.ts';
import { isRemoved, type Krb5Credential, readKrb5Credential, writeKrb5Credential } from './krb5-credential.ts';
import { type Principal, readPrincipal, writePrincipal } from './principal.ts';
import { Reader } from './reader.ts';
import { Writer } from './writer.ts';

/** KDC clock minus client clock. */
interface KDCOffset {
  seconds: number;
  microseconds: number;
}

/** A header field of a number that libkrb5 does not know, and therefore skips. */
interface HeaderTag {
  tag: number;
  value: Buffer;
}

/** What a FILE ccache holds. */
export interface CCacheFile {
  /** Header tag 1; libkrb5 writes it nearly always, mostly with zeros. */
  kdcOffset?: KDCOffset;
  otherTags: HeaderTag[];
  /** Missing only in a DIR ccache that was made and never filled. */
  principal?: Principal;
  credentials: Krb5Credential[];
}

/** A {@link CCacheFile} as it was read. */
export interface ReadCCacheFile extends CCacheFile {
  /** How many entries were marked as removed, and are therefore not among the credentials. */
  removed: number;
  /** How many bytes of a half-written last credential were dropped; 0 for a whole file. */
  tornBytes: number;
}

const VERSION = 0x0504;
const FIRST_VERSION = 0x0501;
const KDC_OFFSET_TAG = 1;

/**
 * Reads a FILE ccache (proto/FILE-CCACHE.md) of any version as libkrb5 reads it: unknown header fields are kept apart,
 * removed entries are left out, a truncated last credential is the end of the file. Throws 22 with the reason for
 * anything that is not such a file.
 */
export function readCCacheFile(bytes: Buffer): ReadCCacheFile {
  const reader = new Reader(bytes);
  const version = bytes.length < 2 ? -1 : reader.u16();
  if (version < FIRST_VERSION || version > VERSION) throw new CCAPIError('malformed', 'not a FILE ccache');
  if (version < VERSION) {
    const converted = toVersion4(reader, version & 0xff);
    return { ...readContents(converted.bytes, { otherTags: [] }), tornBytes: converted.tornBytes };
  }
  const header = readHeader(reader);
  return readContents(reader.view(reader.remaining), header);
}

function readContents(bytes: Buffer, header: Pick<CCacheFile, 'kdcOffset' | 'otherTags'>): ReadCCacheFile {
  const reader = new Reader(bytes);
  const file: ReadCCacheFile = { ...header, credentials: [], removed: 0, tornBytes: 0 };
  if (reader.remaining === 0) return file;
  file.principal = readPrincipal(reader);
  while (reader.remaining > 0) {
    const start = reader.offset;
    try {
      const credential = readKrb5Credential(reader);
      if (isRemoved(credential)) file.removed++;
      else file.credentials.push(credential);
    } catch (error) {
      if (!CCAPIError.is(error, 'malformed')) throw error;
      file.tornBytes = bytes.length - start;
      break;
    }
  }
  return file;
}

/** Writes a version 4 FILE ccache, such as stock libkrb5 writes it. */
export function writeCCacheFile(file: CCacheFile): Buffer {
  const writer = new Writer(4096).u16(VERSION).u16(0);
  if (file.kdcOffset) {
    writer.u16(KDC_OFFSET_TAG).u16(8).u32(file.kdcOffset.seconds).u32(file.kdcOffset.microseconds);
  }
  for (const { tag, value } of file.otherTags) writer.u16(tag).u16(value.length).bytes(value);
  const headerLength = writer.length - 4;
  // Heimdal reads the length of the header as a signed number.
  if (headerLength > 0x7fff) throw new CCAPIError('ccErrBadParam', 'the header fields are above 32,767 bytes');
  writer.patchU32(0, (VERSION << 16) | headerLength);
  if (file.principal) writePrincipal(writer, file.principal);
  for (const credential of file.credentials) writeKrb5Credential(writer, credential);
  return writer.finish();
}

/** Reads what stands before the principal; the version has been read. Throws 22 where a field is wrong. */
export function readHeader(reader: Reader): Pick<CCacheFile, 'kdcOffset' | 'otherTags'> {
  const header = new Reader(reader.view(reader.u16()));
  const fields: Pick<CCacheFile, 'kdcOffset' | 'otherTags'> = { otherTags: [] };
  while (header.remaining > 0) {
    const tag = header.u16();
    const length = header.u16();
    if (tag !== KDC_OFFSET_TAG) {
      fields.otherTags.push({ tag, value: header.copy(length) });
    } else {
      if (length !== 8) throw header.malformed('the KDC offset of a FILE ccache is not 8 bytes long');
      fields.kdcOffset = { seconds: header.i32(), microseconds: header.i32() };
    }
  }
  return fields;
}
