import { readHeader } from '../../proto/ccache-file.ts';
import { CCAPIError } from '../../proto/error.ts';
import { readPrincipal } from '../../proto/principal.ts';
import { Reader } from '../../proto/reader.ts';
import { fileName } from './ccache-log.ts';
import { formerName, type Heading, headingFromHeader } from './heading.ts';
import { type FileRecord, readRecord } from './records.ts';
import type { NewCredential } from './storage.ts';

/** What was read of a ccache's file. */
export interface FoundCCache {
  heading: Heading;
  /** Whether the heading stands in the file. Else it was derived from the header, and the list needs a new number. */
  hasHeading: boolean;
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
  const { heading, isOurs, ...found } = readRecords(reader, ccache);
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

function readRecords(reader: Reader, ccache: number): FoundRecords {
  let live = reader.offset;
  const end = reader.offset + reader.remaining;
  const found: FoundRecords = {
    heading: undefined,
    isOurs: false,
    credentials: new Map(),
    nextIndex: 0,
    length: reader.offset,
    dead: 0,
    torn: 0,
  };
  let replaced: number[] = [];
  for (let record = next(reader); record; record = next(reader)) {
    if (record.kind === 'replaced') {
      // It counts for nothing without the record that follows it.
      replaced = record.indexes;
      continue;
    }
    apply(record, found, ccache);
    for (const index of replaced.splice(0)) found.credentials.delete(index);
    found.length = reader.offset;
  }
  for (const { length } of found.credentials.values()) live += length;
  found.dead = found.length - live;
  found.torn = end - found.length;
  return found;
}

type PlacedRecord = FileRecord & { at: number; length: number };

/** The next whole record. */
function next(reader: Reader): PlacedRecord | undefined {
  if (reader.remaining === 0) return undefined;
  const at = reader.offset;
  try {
    return { ...readRecord(reader), at, length: reader.offset - at };
  } catch (error) {
    if (CCAPIError.is(error, 'malformed')) return undefined;
    throw error;
  }
}

function apply(record: PlacedRecord, found: FoundRecords, ccache: number): void {
  switch (record.kind) {
    case 'heading':
      if (record.heading?.ccache === ccache) found.heading = record.heading;
      else if (!record.heading) found.isOurs = true;
      break;
    case 'skipped':
      found.nextIndex += record.count;
      break;
    case 'removed':
      for (const index of record.indexes) found.credentials.delete(index);
      break;
    case 'credential':
      found.credentials.set(found.nextIndex++, record);
      break;
    default:
      found.isOurs ||= record.kind === 'damaged';
      found.nextIndex++;
  }
}
