import {
  closeSync,
  fdatasyncSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  readFileSync,
  statSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { KEPT_PREFIX } from '../../etc/base-directory.ts';
import { CCAPIError } from '../../proto/error.ts';
import type { Reader } from '../../proto/reader.ts';
import type { Contents } from '../ccache.ts';
import { CredentialList, type StoredCredential } from '../credential-list.ts';
import type { ListIdentity } from '../identifiers.ts';
import { headerFor, type ListOrigin, OFFSET_AT, readerBehindHeader } from '../kept-heading.ts';
import {
  openIfThere,
  overwrite,
  overwriteAndClose,
  overwriteAndRemove,
  putInPlace,
  writeWhole,
} from './atomic-file.ts';
import { credentialRecord, erasedRecord, goneRecord, readRecord, skippedRecord } from './records.ts';
import type { NewCredential } from './storage.ts';

/** What was found in a list's file. */
export interface FoundList {
  list: CredentialList;
  /** How many bytes of a half-written last record were dropped. */
  tornBytes: number;
}

/** The name of a list's file that is being written. */
export const UNFINISHED = 'new';

/** What is removed is taken out of a file once it is more than this, in bytes, and more than what is not removed. */
const MOST_DEAD = 65_536;

/**
 * The file of one list of credentials: a FILE ccache, which libkrb5 can read. Credentials are added to it; what is
 * removed is said at its end, and then overwritten in its place.
 */
export class KeptList {
  readonly path: string;
  readonly #sync: boolean;
  #descriptor: number | undefined;
  #length = 0;
  #dead = 0;

  constructor(path: string, sync: boolean) {
    this.path = path;
    this.#sync = sync;
  }

  /** Whether the file is there, as long as it was left. */
  get isIntact(): boolean {
    return statSync(this.path, { throwIfNoEntry: false })?.size === this.#length;
  }

  /** Bytes that are of no use any more outweigh those that are. */
  get isMostlyDead(): boolean {
    return this.#dead > MOST_DEAD && this.#dead > this.#length / 2;
  }

  /**
   * Writes the whole file anew: with what the list has, under the header of the contents that it is for. There is no
   * moment at which the file is not whole. Throws the system's error, and has changed nothing then.
   */
  write(contents: Contents, list: CredentialList, origin: Omit<ListOrigin, 'list'>): void {
    const unfinished = `${dirname(this.path)}/${UNFINISHED}`;
    const descriptor = openSync(unfinished, 'w+', 0o600);
    const former = openIfThere(this.path);
    const places: [StoredCredential, number][] = [];
    let length = 0;
    try {
      for (const { bytes, credential } of pieces(contents, list, { ...origin, list: list.identity.serial })) {
        if (credential) places.push([credential, length]);
        writeWhole(descriptor, bytes, length, false);
        length += bytes.length;
        if (credential && bytes !== credential.marshalled) bytes.fill(0);
      }
      if (this.#sync) fsyncSync(descriptor);
      putInPlace(unfinished, this.path, this.#sync);
    } catch (error) {
      ftruncateSync(descriptor, 0);
      closeSync(descriptor);
      if (former !== undefined) closeSync(former);
      throw error;
    }
    // What it holds may be destroyed later, and nothing would lead to this copy of it then.
    if (former !== undefined) overwriteAndClose(former);
    for (const [credential, at] of places) credential.kept = at;
    this.close();
    this.#descriptor = descriptor;
    [this.#length, this.#dead] = [length, 0];
  }

  /** Adds a credential in one step with the removal of those that it replaces; returns where it is. */
  add(credential: NewCredential, replaced: readonly StoredCredential[]): number {
    const record = credentialRecord(credential);
    const removal = replaced.length === 0 ? undefined : goneRecord('replaced', indexesOf(replaced));
    const bytes = removal ? Buffer.concat([removal, record]) : record;
    try {
      this.#append(bytes);
    } finally {
      if (bytes !== credential.marshalled) bytes.fill(0);
      if (record !== credential.marshalled) record.fill(0);
    }
    this.#erase(replaced, removal?.length ?? 0);
    return this.#length - record.length;
  }

  remove(credentials: readonly StoredCredential[]): void {
    const removal = goneRecord('gone', indexesOf(credentials));
    this.#append(removal);
    this.#erase(credentials, removal.length);
  }

  /** Has libkrb5 see an offset of the KDC's clock, in seconds. */
  setOffset(seconds: number): void {
    const word = Buffer.alloc(4);
    word.writeUInt32BE(seconds >>> 0);
    writeSync(this.#open(), word, 0, 4, OFFSET_AT);
  }

  /** Overwrites the file and takes it away. */
  discard(): void {
    this.close();
    overwriteAndRemove(this.path);
  }

  /** Gives its descriptor back; the next use takes another. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /**
   * Reads the list. A last record that is not whole was never acknowledged, and is cut off. Throws 22 where the file is
   * none of ours, the system's error where it cannot be read.
   */
  read(identity: ListIdentity): FoundList {
    const bytes = readFileSync(this.path);
    const { reader } = readerBehindHeader(bytes);
    let live = reader.offset;
    const { values, numbered, end } = readValues(reader);
    const list = new CredentialList(identity);
    for (const [index, { value, marshalled, at, length }] of values) {
      list.skip(index - list.numbered);
      list.append(value, at, marshalled);
      live += length;
    }
    list.skip(numbered - list.numbered);
    this.#length = end;
    this.#dead = end - live;
    if (end < bytes.length) {
      overwrite(this.#open(), end);
      ftruncateSync(this.#open(), end);
    }
    bytes.fill(0);
    return { list, tornBytes: bytes.length - end };
  }

  #append(bytes: Buffer): void {
    writeWhole(this.#open(), bytes, this.#length, this.#sync);
    this.#length += bytes.length;
  }

  /** What is removed is removed by now; this is so that it cannot be read any more, by libkrb5 or by anybody. */
  #erase(credentials: readonly StoredCredential[], more: number): void {
    for (const credential of credentials) {
      const bytes = erasedRecord(credential);
      this.#dead += bytes.length;
      try {
        writeSync(this.#open(), bytes, 0, bytes.length, credential.kept);
      } catch {
        // That it is gone has been said, and stands.
      }
    }
    if (credentials.length > 0) this.#syncErased();
    this.#dead += more;
  }

  #syncErased(): void {
    try {
      fdatasyncSync(this.#open());
    } catch {
      // As above.
    }
  }

  #open(): number {
    this.#descriptor ??= openSync(this.path, 'r+');
    return this.#descriptor;
  }
}

/** The name of a list's file. */
export function nameOfList(serial: number): string {
  return `${KEPT_PREFIX}${serial.toString(36)}`;
}

/** The number of the list whose file has a name; undefined where it is none of ours. */
export function listNamed(name: string): number | undefined {
  if (!name.startsWith(KEPT_PREFIX)) return undefined;
  const serial = Number.parseInt(name.slice(KEPT_PREFIX.length), 36);
  return Number.isSafeInteger(serial) && nameOfList(serial) === name ? serial : undefined;
}

/** Where a list is kept. */
export function pathOfList(directory: string, serial: number): string {
  return `${directory}/${nameOfList(serial)}`;
}

/** The credentials by their numbers, with where each stands; how many numbers there are, and where the last record ends. */
interface Values {
  values: Map<number, NewCredential & { at: number; length: number }>;
  numbered: number;
  end: number;
}

function readValues(reader: Reader): Values {
  const found: Values = { values: new Map(), numbered: 0, end: reader.offset };
  let replaced: number[] = [];
  try {
    while (reader.remaining > 0) {
      const at = reader.offset;
      const record = readRecord(reader);
      if (record.kind === 'skipped') found.numbered += record.count;
      else if (record.kind === 'replaced') replaced = record.indexes;
      else if (record.kind === 'gone') for (const index of record.indexes) found.values.delete(index);
      else {
        if (record.kind === 'credential')
          found.values.set(found.numbered, { ...record, at, length: reader.offset - at });
        found.numbered++;
        for (const index of replaced.splice(0)) found.values.delete(index);
      }
      // What says that something is replaced counts for nothing without what replaces it.
      if (replaced.length === 0) found.end = reader.offset;
    }
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
  }
  return found;
}

function* pieces(
  contents: Contents,
  list: CredentialList,
  origin: ListOrigin,
): Generator<{ bytes: Buffer; credential?: StoredCredential }> {
  yield { bytes: headerFor(contents, origin) };
  let next = 0;
  for (const credential of list) {
    if (credential.index > next) yield { bytes: skippedRecord(credential.index - next) };
    yield { bytes: credentialRecord(credential), credential };
    next = credential.index + 1;
  }
  // The numbers of those that are gone are not given out again.
  if (list.numbered > next) yield { bytes: skippedRecord(list.numbered - next) };
}

function indexesOf(credentials: readonly StoredCredential[]): number[] {
  return credentials.map(({ index }) => index);
}
