import { lstatSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../../etc/log.ts';
import { CCAPIError } from '../../proto/error.ts';
import type { CCache, Contents } from '../ccache.ts';
import type { Clock } from '../change-time.ts';
import type { Collection, KeptCollection } from '../collection.ts';
import type { StoredCredential } from '../credential-list.ts';
import { type Identifiers, numberOfCCache } from '../identifiers.ts';
import { Journal } from '../journal.ts';
import type { KeptContents, KeptLine } from '../kept-state.ts';
import { putInPlace, syncDirectory } from './atomic-file.ts';
import { KeptList, nameOfList, pathOfList } from './ccache-log.ts';
import { loadCollection } from './load.ts';
import type { Keeper, NewCCache, NewCredential } from './storage.ts';

/** How many files are kept open, for those that are written to again and again. */
const MOST_OPEN = 32;

/** How many lines a journal has beyond those that say what there is, before it is written anew. */
const MOST_LINES = 1000;

/**
 * Keeps a collection in a directory that stock libkrb5 can read as a DIR collection: a FILE ccache for each list of
 * credentials, the name of the primary one, and beside them a journal of all that a FILE ccache cannot say. A change has
 * happened when its line is in the journal, or for one credential its record in the file; every other step is one that
 * `load` takes again or takes back.
 */
export class Store implements Keeper {
  readonly #directory: string;
  readonly #sync: boolean;
  readonly #log: Log;
  readonly #journal: Journal;
  /** The file of each list, by the list's number. */
  readonly #files = new Map<number, KeptList>();
  /** Those that are open, in the order of their last use. */
  readonly #open = new Set<KeptList>();
  #collection: Collection | undefined;
  #identifiers: Identifiers | undefined;
  #primary: number | undefined;
  #failing = false;
  #isForsaken = false;

  /** `sync` has each change reach the disk before it is acknowledged. */
  constructor(directory: string, sync: boolean, log: Log) {
    this.#directory = directory;
    this.#sync = sync;
    this.#log = log;
    this.#journal = new Journal(`${directory}/journal`, sync);
  }

  /** Reads what was kept. Throws 224 where the directory is none, or the system's error. */
  load(now: Clock): { identifiers: Identifiers; kept: KeptCollection } {
    makeDirectory(this.#directory, this.#sync);
    const place = { directory: this.#directory, journal: this.#journal, sync: this.#sync, log: this.#log };
    const { identifiers, kept, files } = loadCollection(place, now);
    for (const [serial, file] of files) this.#files.set(serial, file);
    this.#identifiers = identifiers;
    return { identifiers, kept };
  }

  /** Has the collection kept from here on. */
  attach(collection: Collection, kept: KeptCollection): void {
    this.#collection = collection;
    collection.resume(this, kept);
    // Where there was none, what there is now may have been taken from the files.
    if (!this.#journal.isIntact) this.#attempt(() => this.#journal.rewrite(this.#snapshot()));
  }

  /** Writes the directory anew from what is in memory, if something of it was removed. */
  restore(): void {
    if (this.#isForsaken || this.#isWhole()) return;
    this.#log.warning(`${this.#directory} has lost files; they are written anew`);
    this.#bestEffort(() => this.#writeAll());
  }

  /** Refuses every change from here on, and leaves the files alone. */
  forsake(): void {
    this.#isForsaken = true;
  }

  /** Writes down what is only known exactly while the process runs, and lets go of the files. */
  close(): void {
    if (this.#isForsaken) return;
    this.restore();
    try {
      this.#journal.rewrite(this.#snapshot());
    } catch (error) {
      // Nothing is lost: the times of the last changes will be later ones.
      this.#log.warning(`the journal could not be written anew: ${(error as Error).message}`);
    }
    this.#journal.close();
    for (const file of this.#open) file.close();
  }

  /** Takes the directory away, once it is closed. There is nothing of anybody's in it any more. */
  remove(): void {
    this.#bestEffort(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  made({ identifier, name, contents, lastDefault, first }: NewCCache): void {
    const serial = this.#writeList(contents, name);
    const line = { made: numberOfCCache(identifier), name, lastDefault, first, ...described(contents) };
    this.#commit({ ...line, unique: (this.#collection as Collection).nextUnique }, serial);
    if (first || this.#collection?.size === 0) this.#writePrimary(serial);
  }

  replaced(ccache: CCache, contents: Contents): void {
    const serial = this.#writeList(contents, ccache.name);
    this.#commit({ replaced: numberOfCCache(ccache.identifier), ...described(contents) }, serial);
    if (ccache === this.#collection?.default) this.#writePrimary(serial);
    this.#discard(ccache);
  }

  destroyed(ccache: CCache): void {
    this.#commit({ destroyed: numberOfCCache(ccache.identifier) });
    this.#discard(ccache);
    const [first, second] = this.#collection ?? [];
    if (ccache === first) this.#writePrimary(serialOf(second));
  }

  moved(source: CCache, destination: CCache, { isNew, at }: { isNew: boolean; at?: number | undefined }): void {
    const name = isNew ? destination.name : undefined;
    const [from, to] = [numberOfCCache(source.identifier), numberOfCCache(destination.identifier)];
    this.#commit({ moved: from, to, name, at });
    if (!isNew) this.#discard(destination);
    const [first, second] = this.#collection ?? [];
    const next = first === source ? second : first;
    this.#writePrimary(serialOf(at !== undefined || next === undefined || next === destination ? source : next));
  }

  madeDefault(ccache: CCache, at: number): void {
    this.#commit({ default: numberOfCCache(ccache.identifier), at });
    this.#writePrimary(serialOf(ccache));
  }

  awaited(name: string | undefined): void {
    this.#commit({ awaited: name ?? null });
  }

  principalSet(ccache: CCache, principal: string): void {
    this.#commit({ principal, of: numberOfCCache(ccache.identifier) });
    const { credentials } = ccache.contents;
    this.#bestEffort(() =>
      this.#file(ccache).write(
        { principal, kdcOffset: undefined, credentials },
        credentials,
        this.#origin(ccache.name),
      ),
    );
  }

  offsetSet(ccache: CCache, offset: number | undefined): void {
    this.#commit({ offset: offset ?? null, of: numberOfCCache(ccache.identifier) });
    this.#bestEffort(() => this.#file(ccache).setOffset(offset ?? 0));
  }

  stored(ccache: CCache, credential: NewCredential, replaced: readonly StoredCredential[]): number {
    this.#tidy(ccache);
    return this.#attempt(() => this.#file(ccache).add(credential, replaced));
  }

  removed(ccache: CCache, credentials: readonly StoredCredential[]): void {
    this.#tidy(ccache);
    this.#attempt(() => this.#file(ccache).remove(credentials));
  }

  #isWhole(): boolean {
    return this.#journal.isIntact && [...this.#files.values()].every((file) => file.isIntact);
  }

  /** Lists come before the journal: without one, they tell by themselves which ccaches there are. */
  #writeAll(): void {
    makeDirectory(this.#directory, this.#sync);
    for (const ccache of this.#collection ?? []) this.#rewrite(ccache);
    this.#journal.rewrite(this.#snapshot());
    this.#primary = undefined;
    this.#writePrimary(serialOf(this.#collection?.default));
  }

  #rewrite({ name, contents }: CCache): void {
    const file = this.#files.get(contents.credentials.identity.serial);
    if (file) this.#used(file).write(contents, contents.credentials, this.#origin(name));
  }

  #file(ccache: CCache): KeptList {
    return this.#used(this.#files.get(serialOf(ccache) as number) as KeptList);
  }

  /** A file that is used is open; the one whose last use is longest ago is closed where they become too many. */
  #used(file: KeptList): KeptList {
    this.#open.delete(file);
    this.#open.add(file);
    if (this.#open.size > MOST_OPEN) {
      const [oldest] = this.#open as Set<KeptList>;
      oldest?.close();
      this.#open.delete(oldest as KeptList);
    }
    return file;
  }

  #writeList(contents: Contents, name: string): number {
    const { serial } = contents.credentials.identity;
    const file = new KeptList(pathOfList(this.#directory, serial), this.#sync);
    this.#attempt(() => file.write(contents, contents.credentials, this.#origin(name)));
    this.#files.set(serial, this.#used(file));
    return serial;
  }

  #origin(name: string) {
    return { server: (this.#identifiers as Identifiers).server, name };
  }

  /** Takes out of a file what is of no use any more, if that is much. */
  #tidy(ccache: CCache): void {
    const file = this.#file(ccache);
    if (!file.isMostlyDead) return;
    const { contents, name } = ccache;
    this.#bestEffort(() => file.write(contents, contents.credentials, this.#origin(name)));
  }

  /** The change has happened with this. Where it cannot, the list that was written for it is taken away. */
  #commit(line: KeptLine, list?: number): void {
    if (this.#journal.lines > MOST_LINES + 3 * (this.#collection?.size ?? 0)) {
      this.#bestEffort(() => this.#journal.rewrite(this.#snapshot()));
    }
    try {
      this.#attempt(() => this.#journal.add(line));
    } catch (error) {
      if (list !== undefined) this.#discardList(list);
      throw error;
    }
  }

  #discard(ccache: CCache): void {
    this.#discardList(serialOf(ccache) as number);
  }

  #discardList(serial: number): void {
    const file = this.#files.get(serial) as KeptList;
    this.#files.delete(serial);
    this.#open.delete(file);
    this.#bestEffort(() => file.discard());
  }

  /** Tells libkrb5 which is the primary. */
  #writePrimary(serial: number | undefined): void {
    if (serial === undefined || serial === this.#primary) return;
    this.#bestEffort(() => {
      const unfinished = `${this.#directory}/primary.new`;
      writeFileSync(unfinished, `${nameOfList(serial)}\n`, { mode: 0o600 });
      putInPlace(unfinished, `${this.#directory}/primary`, this.#sync);
      this.#primary = serial;
    });
  }

  /** All that the journal has to say of what there is now. */
  #snapshot(): KeptLine[] {
    const collection = this.#collection as Collection;
    const { changed, nextUnique: unique, awaitedDefault: awaited = null } = collection;
    const lines: KeptLine[] = [{ ccapi: 1, ...(this.#identifiers as Identifiers).state, changed, unique, awaited }];
    for (const { identifier, name, contents, lastDefault, changed } of collection) {
      const { changes } = contents.credentials;
      lines.push({ made: numberOfCCache(identifier), name, lastDefault, changed, changes, ...described(contents) });
    }
    return lines;
  }

  /** What is done for others' sake; the collection is kept without it. */
  #bestEffort(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#failed(error as Error);
    }
  }

  /**
   * Throws 203 (`ccErrNoMem`) where there is no room or no way to write. Where files were removed meanwhile, they are
   * written anew first.
   */
  #attempt<T>(action: () => T): T {
    try {
      if (this.#isForsaken) throw new Error('another worker may have it');
      const result = this.#unlessRemoved(action);
      if (this.#failing) this.#log.info(`${this.#directory} can be written again`);
      this.#failing = false;
      return result;
    } catch (error) {
      this.#failed(error as Error);
      throw new CCAPIError('ccErrNoMem', `the change could not be kept: ${(error as Error).message}`, { cause: error });
    }
  }

  #unlessRemoved<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '') || this.#isWhole()) throw error;
      this.restore();
      return action();
    }
  }

  /** Once, until it works again. */
  #failed(error: Error): void {
    if (!this.#failing) this.#log.error(`${this.#directory} cannot be written: ${error.message}`);
    this.#failing = true;
  }
}

function described({ principal, nameType, kdcOffset, credentials }: Contents): KeptContents {
  return { list: credentials.identity.serial, principal, type: nameType, offset: kdcOffset };
}

function serialOf(ccache: CCache | undefined): number | undefined {
  return ccache?.contents.credentials.identity.serial;
}

function makeDirectory(path: string, sync: boolean): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    if (sync) syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  if (!lstatSync(path).isDirectory()) {
    throw new CCAPIError('ccErrServerInsecure', `${path} is not a directory; it is not used`);
  }
}
