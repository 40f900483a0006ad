import { readHeader } from '../../proto/ccache-file.ts';
import { readPrincipal } from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import type { NewCredential } from '../model/storage.ts';
import { fileName } from './ccache-log.ts';
import { formerName, type Heading, headingFromHeader } from './heading.ts';
import { readRecord } from './records.ts';

/** What was read of a ccache's file. */
export interface FoundCCache {
  heading: Heading;
  /** Whether the heading stands in the file. Else it was derived from the header, and the list needs a new number. */
  hasHeading: boolean;
  /** Whether the file has what it should not, such as a removed credential that was not overwritten. */
  needsRewrite: boolean;
  /** The credentials by their indexes, with where each stands. */
  credentials: Map<number, NewCredential & { at: number; length: number }>;
  /** How many indexes the list has given out. */
  nextIndex: number;
  /** Where the last whole record ends. */
  length: number;
  /** How many bytes before that are of no use any more. */
  dead: number;
  /** How many bytes follow: a record of which the end is missing. */
  torn: number;
}

const VERSION = 0x0504;

/**
 * Reads the file of the ccache with a number. A last record that is not whole was never acknowledged, and is left out.
 * Undefined for a FILE ccache that is none of ours, such as a copy or one of a stock program's; throws 22 where it is no
 * FILE ccache.
 */
export function readLog(ccache: number, bytes: Buffer): FoundCCache | undefined {
  const reader = new Reader(bytes);
  if (reader.u16() !== VERSION) throw reader.malformed('not a FILE ccache of version 4');
  const { kdcOffset, otherTags } = readHeader(reader);
  // A stock program makes such a file before it fills it.
  if (reader.remaining === 0) return undefined;
  const principal = readPrincipal(reader);
  const { heading, isOurs, ...found } = collectRecords(reader, ccache);
  if (heading) return { ...found, heading, hasHeading: true };
  const former = formerName(ccache, otherTags);
  if (former !== undefined || isOurs) {
    const name = former ?? fileName(ccache);
    const derived = headingFromHeader(ccache, name, principal, (kdcOffset?.seconds ?? 0) >>> 0);
    return { ...found, heading: derived, hasHeading: false };
  }
  if (found.torn > 0) throw reader.malformed('no heading');
  return undefined;
}

type FoundRecords = Omit<FoundCCache, 'heading' | 'hasHeading'> & {
  heading: Heading | undefined;
  /** Whether there is an entry of ours that is damaged. */
  isOurs: boolean;
};

function collectRecords(reader: Reader, ccache: number): FoundRecords {
  const [start, end] = [reader.offset, reader.offset + reader.remaining];
  const credentials: FoundCCache['credentials'] = new Map();
  const found = {
    heading: undefined as Heading | undefined,
    isOurs: false,
    needsRewrite: false,
    nextIndex: 0,
    length: start,
  };
  const remove = (index: number) => {
    found.needsRewrite = credentials.delete(index) || found.needsRewrite;
  };
  let replaced: number[] = [];
  for (let at = start; at < end; at = reader.offset) {
    const record = readRecord(reader);
    if (!record) break;
    if (record.kind === 'replaced') {
      // It counts for nothing without the record that follows it.
      replaced = record.indexes;
      continue;
    }
    replaced.forEach(remove);
    replaced = [];
    if (record.kind === 'heading') {
      if (record.heading?.ccache === ccache) found.heading = record.heading;
    } else if (record.kind === 'skipped') found.nextIndex += record.count;
    else if (record.kind === 'removed') record.indexes.forEach(remove);
    else if (record.kind === 'credential') {
      const { value, marshalled } = record;
      credentials.set(found.nextIndex++, { value, marshalled, at, length: reader.offset - at });
    } else found.nextIndex++;
    found.isOurs ||= record.kind === 'damaged' || (record.kind === 'heading' && !record.heading);
    found.length = reader.offset;
  }
  const live = [...credentials.values()].reduce((bytes, { length }) => bytes + length, start);
  return { ...found, credentials, dead: found.length - live, torn: end - found.length };
}
