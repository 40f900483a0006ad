import { closeSync, constants, fdatasyncSync, fstatSync, ftruncateSync, lstatSync, openSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { KEPT_PREFIX } from '../../etc/config/paths.ts';
import type { CredentialList, StoredCredential } from '../model/credential-list.ts';
import { MAX_CCACHES } from '../model/identifiers.ts';
import type { NewCredential } from '../model/storage.ts';
import { destroyFile, overwrite, renameInto, TEMPORARY, writeAndRename, writeFully } from './atomic-file.ts';
import { fileHeader, type Heading, OFFSET_AT } from './heading.ts';
import { credentialRecord, erasedRecord, headingRecord, removalRecord, skippedRecord } from './records.ts';

/** Dead bytes are taken out of a file once they are more than this, and more than the others. */
const MAX_DEAD = 65_536;

/**
 * The file of one ccache: a FILE ccache, which libkrb5 can read. A change is one append, or the rename of a whole new file.
 * What is removed is said at the end of the file, and then overwritten in its place.
 */
export class CCacheLog {
  readonly #directory: string;
  readonly #sync: boolean;
  #heading: Heading;
  #descriptor: number | undefined;
  #length = 0;
  #dead = 0;

  /** `sync` has each change on the medium before its method returns. */
  constructor(directory: string, heading: Heading, sync: boolean) {
    this.#directory = directory;
    this.#heading = heading;
    this.#sync = sync;
  }

  get heading(): Heading {
    return this.#heading;
  }

  get path(): string {
    return pathOfCCache(this.#directory, this.#heading.ccache);
  }

  /** Whether the file is there, as long as it was left, and the one that is written to. Throws the system's error. */
  get isIntact(): boolean {
    const found = lstatSync(this.path, { throwIfNoEntry: false });
    if (!found?.isFile() || found.size !== this.#length) return false;
    return this.#descriptor === undefined || found.ino === fstatSync(this.#descriptor).ino;
  }

  /** Whether dead bytes outweigh the others. */
  get isMostlyDead(): boolean {
    return this.#dead > MAX_DEAD && this.#dead > this.#length / 2;
  }

  /** Goes on with a file that was read: so many bytes of it stand, of which so many are dead. Cuts off what is torn. */
  resume({ length, dead, torn }: { length: number; dead: number; torn: number }): void {
    this.#length = length;
    this.#dead = dead;
    if (torn === 0) return;
    overwrite(this.#open(), length);
    ftruncateSync(this.#open(), length);
  }

  /** Writes the whole file anew, in one step. Throws the system's error, and has changed nothing then. */
  write(heading: Heading, list: CredentialList): void {
    const temporary = `${dirname(this.path)}/${TEMPORARY}`;
    const offsets: [StoredCredential, number][] = [];
    const { descriptor, size } = writeAndRename(temporary, pieces(heading, list, offsets), this.#sync, () =>
      renameInto(temporary, this.path, this.#sync),
    );
    for (const [credential, offset] of offsets) credential.fileOffset = offset;
    this.close();
    this.#descriptor = descriptor;
    this.#heading = heading;
    [this.#length, this.#dead] = [size, 0];
  }

  /** Says something else of the ccache, but for its number. */
  setHeading(heading: Heading): void {
    this.#appendHeading(heading);
    this.#heading = heading;
  }

  /** Makes this the file of the ccache of a heading, in the place of that ccache's own. */
  moveTo(heading: Heading): void {
    // It tells of a file of another name, and so of nothing until the file has that.
    this.#appendHeading(heading);
    renameInto(this.path, pathOfCCache(this.#directory, heading.ccache), this.#sync);
    this.#heading = heading;
  }

  /** Shows libkrb5 the offset of the heading. */
  showOffset(): void {
    const word = Buffer.alloc(4);
    word.writeUInt32BE(this.#heading.offset ?? 0);
    writeSync(this.#open(), word, 0, word.length, OFFSET_AT);
    if (this.#sync) fdatasyncSync(this.#open());
  }

  /** Adds a credential in one step with the removal of those that it replaces; returns its offset. */
  add(credential: NewCredential, replaced: readonly StoredCredential[]): number {
    const record = credentialRecord(credential);
    const removal = replaced.length === 0 ? undefined : removalRecord('replaced', replaced);
    const bytes = removal ? Buffer.concat([removal, record]) : record;
    try {
      this.#append(bytes);
    } finally {
      for (const copy of [bytes, record]) if (copy !== credential.marshalled) copy.fill(0);
    }
    if (removal) this.#erase(replaced, removal);
    return this.#length - record.length;
  }

  remove(credentials: readonly StoredCredential[]): void {
    const removal = removalRecord('removed', credentials);
    this.#append(removal);
    this.#erase(credentials, removal);
  }

  /** Removes the file in one step, and overwrites it. */
  destroy(): void {
    destroyFile(this.path, this.#sync);
    this.close();
  }

  /** Closes the file; its next use opens it again. */
  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  #append(bytes: Buffer): void {
    const descriptor = this.#open();
    const { size, nlink } = fstatSync(descriptor);
    // What is appended to another file, or to one without a name, is lost with the process.
    if (size !== this.#length || nlink === 0) throw new Error(`${this.path} was changed`);
    writeFully(descriptor, bytes, this.#length, this.#sync);
    this.#length += bytes.length;
  }

  #appendHeading(heading: Heading): void {
    const record = headingRecord(heading);
    this.#append(record);
    // The last one is of use, but the first is as long.
    this.#dead += record.length;
  }

  /** They are removed by now; this keeps them from being read any more, by libkrb5 or from the medium. */
  #erase(credentials: readonly StoredCredential[], removal: Buffer): void {
    this.#dead += removal.length;
    try {
      for (const credential of credentials) {
        const bytes = erasedRecord(credential);
        this.#dead += bytes.length;
        writeSync(this.#open(), bytes, 0, bytes.length, credential.fileOffset);
      }
      fdatasyncSync(this.#open());
    } catch {
      // The removal has been said, and stands.
    }
  }

  #open(): number {
    this.#descriptor ??= openSync(this.path, constants.O_RDWR | constants.O_NOFOLLOW);
    return this.#descriptor;
  }
}

/** The name of a ccache's file. */
export function fileName(ccache: number): string {
  return `${KEPT_PREFIX}${ccache.toString(36)}`;
}

/** The inverse of {@link fileName}; undefined for a name that it does not give. */
export function ccacheOfFile(name: string): number | undefined {
  if (!name.startsWith(KEPT_PREFIX)) return undefined;
  const ccache = Number.parseInt(name.slice(KEPT_PREFIX.length), 36);
  return ccache > 0 && ccache < MAX_CCACHES && fileName(ccache) === name ? ccache : undefined;
}

/** The path of a ccache's file. */
export function pathOfCCache(directory: string, ccache: number): string {
  return `${directory}/${fileName(ccache)}`;
}

/** The pieces of a file, each of which may be overwritten when the next is asked for. */
function* pieces(heading: Heading, list: CredentialList, offsets: [StoredCredential, number][]): Generator<Buffer> {
  const beginning = Buffer.concat([fileHeader(heading), headingRecord(heading)]);
  let length = beginning.length;
  yield beginning;
  let next = 0;
  const skipTo = (index: number) => {
    const skipped = index > next ? skippedRecord(index - next) : Buffer.alloc(0);
    length += skipped.length;
    return skipped;
  };
  for (const credential of list) {
    yield skipTo(credential.index);
    const record = credentialRecord(credential);
    offsets.push([credential, length]);
    yield record;
    length += record.length;
    next = credential.index + 1;
    if (record !== credential.marshalled) record.fill(0);
  }
  // The indexes of those that are removed are not given out again.
  yield skipTo(list.nextIndex);
}
