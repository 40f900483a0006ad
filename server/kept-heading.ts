import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import { type HeaderTag, readHeader, writeCCacheFile } from '../proto/ccache-file.ts';
import { type Principal, parsePrincipal, readPrincipal } from '../proto/principal.ts';
import { Reader } from '../proto/reader.ts';
import type { Contents } from './ccache.ts';
import { checkedOrigin } from './journal-lines.ts';
import { MAX_NAME } from './limits.ts';

/** What our header tag says of a list: enough to make something of a file when all else is lost. */
export interface ListOrigin {
  server: string;
  list: number;
  name: string;
}

/** The number of our header tag; libkrb5 knows only 1 and passes over others. */
const OUR_TAG = 0x4343;

/** Where the seconds of the KDC offset stand: behind version, length, tag and its length. */
export const OFFSET_AT = 8;

/** What the file of a list begins with. */
export function headerFor({ principal, nameType, kdcOffset }: Contents, { server, list, name }: ListOrigin): Buffer {
  // The header is small, and a name of an earlier version need not be.
  const origin: ListOrigin = { server, list, name: name.length > MAX_NAME ? '' : name };
  const otherTags: HeaderTag[] = [{ tag: OUR_TAG, value: Buffer.from(JSON.stringify(origin)) }];
  const parsed = forLibkrb5(principal);
  return writeCCacheFile({
    kdcOffset: { seconds: kdcOffset ?? 0, microseconds: 0 },
    otherTags,
    principal: nameType === undefined ? parsed : { ...parsed, nameType },
    credentials: [],
  });
}

/** What cannot be parsed is shown to libkrb5 as it is, without a realm. */
function forLibkrb5(principal: string): Principal {
  try {
    return parsePrincipal(principal);
  } catch {
    return { nameType: 0, realm: '', components: [principal] };
  }
}

/** What the header of a list's file says; undefined where it is none of ours. */
export function originOf(path: string): ListOrigin | undefined {
  try {
    const bytes = beginningOf(path);
    const { otherTags } = readerBehindVersion(bytes).header;
    bytes.fill(0);
    const ours = otherTags.find(({ tag }) => tag === OUR_TAG);
    return ours && checkedOrigin(JSON.parse(ours.value.toString('utf8')));
  } catch {
    return undefined;
  }
}

/** As much of a file as its header may be long. */
function beginningOf(path: string): Buffer {
  const bytes = Buffer.alloc(4 + 0xffff);
  const descriptor = openSync(path, 'r');
  try {
    return bytes.subarray(0, readSync(descriptor, bytes));
  } finally {
    closeSync(descriptor);
  }
}

/** The principal and the offset of the KDC's clock that a file begins with; undefined where it cannot be read. */
export function readHeading(path: string): { principal: Principal; offset: number } | undefined {
  try {
    const bytes = readFileSync(path);
    const { reader, header } = readerBehindVersion(bytes);
    const heading = { principal: readPrincipal(reader), offset: (header.kdcOffset?.seconds ?? 0) >>> 0 };
    bytes.fill(0);
    return heading;
  } catch {
    return undefined;
  }
}

export function readerBehindHeader(bytes: Buffer) {
  const { reader } = readerBehindVersion(bytes);
  return { reader, principal: readPrincipal(reader) };
}

function readerBehindVersion(bytes: Buffer) {
  const reader = new Reader(bytes);
  if (reader.u16() !== 0x0504) throw reader.malformed('not a FILE ccache of version 4');
  return { reader, header: readHeader(reader) };
}
