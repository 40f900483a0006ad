import { writeCCacheFile } from '../../proto/ccache-file.ts';
import { type Principal, parsePrincipal, unparsePrincipal } from '../../proto/principal.ts';
import type { Contents } from '../model/ccache.ts';
import type { CredentialList } from '../model/credential-list.ts';
import { MAX_LISTS } from '../model/identifiers.ts';
import { fromSummedJSON, isCount, parseJSON, toSummedJSON } from './summed-json.ts';

/** What a FILE ccache has no place for. It stands in a configuration entry; of several the last counts. */
export interface Heading {
  /** The number of the ccache, which its file is named after. A heading with another number says nothing of this file. */
  ccache: number;
  name: string;
  /** The number of the list of credentials. */
  list: number;
  /** Ccaches are in the order of these numbers: a new one has the highest, one that becomes the default the lowest. */
  position: number;
  /** When it last became the default, in seconds since 1970; 0 for never. */
  lastDefault: number;
  /** The principal as text. The FILE header has it too, as far as it can be parsed. */
  principal: string;
  /** The name type of the principal where a client told it. */
  type?: number | undefined;
  /** KDC clock minus client clock in seconds, as unsigned 32 bits, where it is set. */
  offset?: number | undefined;
}

/** Where the seconds of the KDC offset stand in a file: behind version, header length, tag and the tag's length. */
export const OFFSET_AT = 8;

/** The header tag in which versions up to 0.2 named a file's ccache; now it is only read. */
const FORMER_TAG = 0x4343;

const example: Heading = { ccache: 1, name: '', list: 0, position: 0, lastDefault: 0, principal: '' };

/** The value of the configuration entry. */
export function writeHeading(heading: Heading): Buffer {
  return Buffer.from(toSummedJSON(heading));
}

/** The inverse; undefined for a damaged one. */
export function readHeading(value: Buffer): Heading | undefined {
  return fromSummedJSON(value.toString(), example, isHeading);
}

function isHeading({ list, lastDefault, type, offset }: Heading): boolean {
  return (
    isCount(list, MAX_LISTS) &&
    isCount(lastDefault, 2 ** 32) &&
    (type === undefined || Number.isSafeInteger(type)) &&
    (offset === undefined || isCount(offset, 2 ** 32))
  );
}

/** What a file begins with: the header of a FILE ccache, with the KDC offset as its only tag, and the principal. */
export function fileHeader({ principal, type, offset = 0 }: Pick<Heading, 'principal' | 'type' | 'offset'>): Buffer {
  const kdcOffset = { seconds: offset, microseconds: 0 };
  const parts = principalForFile(principal);
  const named = type === undefined ? parts : { ...parts, nameType: type };
  return writeCCacheFile({ kdcOffset, otherTags: [], principal: named, credentials: [] });
}

/** The part of a heading that a ccache's contents decide. */
export function describeContents({ principal, nameType, kdcOffset, credentials }: Contents) {
  return { list: credentials.identity.listId, principal, type: nameType, offset: kdcOffset };
}

/** The contents of which a heading tells, with their credentials. */
export function contentsFor({ principal, type, offset }: Heading, credentials: CredentialList): Contents {
  return { principal, kdcOffset: offset, credentials, ...(type !== undefined && { nameType: type }) };
}

/** What a file says of its ccache by its FILE header alone. */
export function headingFromHeader(ccache: number, name: string, principal: Principal, offset: number): Heading {
  const { nameType: type, ...parts } = principal;
  const text = parts.realm === '' ? (parts.components[0] ?? '') : unparsePrincipal(parts);
  const base = { ccache, name, list: ccache, position: ccache, lastDefault: 0, principal: text, type };
  return offset === 0 ? base : { ...base, offset };
}

/** The name of the ccache that a version up to 0.2 wrote in a file's header; undefined where it wrote none there. */
export function formerName(ccache: number, tags: readonly { tag: number; value: Buffer }[]): string | undefined {
  const value = tags.find(({ tag }) => tag === FORMER_TAG)?.value;
  const { list, name } = (parseJSON(value?.toString() ?? '') ?? {}) as Partial<Record<string, unknown>>;
  return list === ccache && typeof name === 'string' ? name : undefined;
}

/** A text that is no principal is shown to libkrb5 as one component without a realm. */
function principalForFile(text: string): Principal {
  try {
    return parsePrincipal(text);
  } catch {
    return { nameType: 0, realm: '', components: [text] };
  }
}
