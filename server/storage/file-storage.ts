import { chmodSync, lstatSync, mkdirSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../../etc/host/log.ts';
import { CCAPIError, InsecurePathError } from '../../proto/errors.ts';
import type { CCache, Contents } from '../model/ccache.ts';
import type { Clock } from '../model/change-time.ts';
import type { Collection, StoredCollection } from '../model/collection.ts';
import type { StoredCredential } from '../model/credential-list.ts';
import { type Identifiers, numberOfCCache } from '../model/identifiers.ts';
import type { NewCCache, NewCredential, Storage } from '../model/storage.ts';
import { replaceFile, syncDirectory } from './atomic-file.ts';
import { CCacheLog, ChangedFileError, fileName, pathOfCCache } from './ccache-log.ts';
import { CollectionFile } from './collection-file.ts';
import { describeContents } from './heading.ts';
import type { LiveView } from './live-view.ts';
import { loadCollection, PRIMARY_FILE, readPrimary, setAside } from './load.ts';

/** How many files stay open, for further writes. */
const MAX_OPEN = 32;

/**
 * Keeps a collection in a directory that stock libkrb5 reads as a DIR collection: a FILE ccache for each ccache, the name
 * of the primary one, and a file for what is known of the collection itself. One append or one rename commits each change;
 * each other step is one that `load` makes up for.
 */
export class FileStorage implements Storage {
  readonly #directory: string;
  readonly #sync: boolean;
  readonly #log: Log;
  readonly #collectionFile: CollectionFile;
  /** The file of each ccache, by the ccache's number. */
  #logs = new Map<number, CCacheLog>();
  /** Those that are open, in the order of their last use. */
  readonly #open = new Set<CCacheLog>();
  #collection: Collection | undefined;
  #primary: string | undefined;
  #view: LiveView | undefined;
  #isFailing = false;
  #isForsaken = false;

  /** `sync` has each change on the medium before it is acknowledged. */
  constructor(directory: string, sync: boolean, log: Log) {
    this.#directory = directory;
    this.#sync = sync;
    this.#log = log;
    this.#collectionFile = new CollectionFile(directory, sync);
  }

  /** Reads what is stored. Throws 224 where the path leads to no directory, or the system's error. */
  load(now: Clock): { identifiers: Identifiers; kept: StoredCollection } {
    makeDirectory(this.#directory, this.#sync);
    const place = {
      directory: this.#directory,
      collectionFile: this.#collectionFile,
      sync: this.#sync,
      log: this.#log,
    };
    const { identifiers, kept, logs } = loadCollection(place, now);
    this.#logs = logs;
    this.#primary = readPrimary(this.#directory);
    return { identifiers, kept };
  }

  /** Stores the collection from here on. */
  attach(collection: Collection, kept: StoredCollection): void {
    this.#collection = collection;
    collection.resume(this, kept);
    if (!this.#collectionFile.isIntact) this.#bestEffort(() => this.#collectionFile.raise(collection));
    this.#writePrimary(collection.default);
  }

  /** Writes the directory anew from memory, if something of it was removed. */
  restore(): void {
    if (this.#isForsaken) return;
    this.#bestEffort(() => {
      if (this.#isWhole()) return;
      this.#log.warning(`${this.#directory} has lost files; writing them anew`);
      this.#writeAll();
    });
  }

  /** Refuses each change from here on, and leaves the files alone. */
  forsake(): void {
    this.#isForsaken = true;
  }

  /** Writes what is only known exactly while the process runs, and closes the files. */
  close(): void {
    if (this.#isForsaken) return;
    this.restore();
    try {
      this.#collectionFile.writeExactly(this.#collection as Collection);
    } catch (error) {
      // Nothing is lost: the next worker goes on from the ceilings.
      this.#log.warning(`cannot write the collection file: ${(error as Error).message}`);
    }
    for (const log of this.#open) log.close();
  }

  /** Removes the directory, once it is closed. */
  removeDirectory(): void {
    this.#bestEffort(() => rmSync(this.#directory, { recursive: true, force: true }));
  }

  /** Has the live view told of each change. */
  show(view: LiveView): void {
    this.#view = view;
    view.begin();
  }

  noteChange(): void {
    this.#view?.touch();
  }

  create({ identifier, name, contents, lastDefault, first }: NewCCache): void {
    const ccache = numberOfCCache(identifier);
    const position = this.#collectionFile.newPosition(first);
    const heading = { ccache, name, position, lastDefault, ...describeContents(contents) };
    const log = new CCacheLog(this.#directory, heading, this.#sync);
    this.#commit(() => {
      this.#makeWay(ccache);
      log.write(heading, contents.credentials);
    });
    this.#logs.set(ccache, this.#keepOpen(log));
    this.#countPosition(first);
    if (first || this.#collection?.size === 0) this.#writePrimary(fileName(ccache));
  }

  replace(ccache: CCache, contents: Contents): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.write({ ...log.heading, ...describeContents(contents) }, contents.credentials));
  }

  destroy(ccache: CCache): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.destroy());
    this.#forget(log, ccache);
    const [first, second] = this.#collection ?? [];
    if (ccache === first) this.#writePrimary(second);
  }

  move(source: CCache, destination: CCache, { isNew, at }: { isNew: boolean; at?: number | undefined }): void {
    const log = this.#logOf(source);
    const former = isNew ? undefined : this.#logOf(destination);
    const isFirst = at !== undefined;
    const position = isFirst || !former ? this.#collectionFile.newPosition(isFirst) : former.heading.position;
    const lastDefault = at ?? former?.heading.lastDefault ?? 0;
    const ccache = numberOfCCache(destination.identifier);
    this.#commit(() => {
      if (isNew) this.#makeWay(ccache);
      log.moveTo({ ...log.heading, ccache, name: destination.name, position, lastDefault });
    });
    if (former) this.#forget(former, destination);
    this.#logs.delete(numberOfCCache(source.identifier));
    this.#logs.set(ccache, log);
    this.#countPosition(isFirst);
    const [first, second] = this.#collection ?? [];
    const next = first === source ? second : first;
    this.#writePrimary(isFirst || !next ? fileName(ccache) : next);
  }

  makeDefault(ccache: CCache, at: number): void {
    const log = this.#logOf(ccache);
    const { heading } = log;
    const lastDefault = ccache === this.#collection?.default ? heading.lastDefault : at;
    this.#commit(() => log.setHeading({ ...heading, position: this.#collectionFile.newPosition(true), lastDefault }));
    this.#countPosition(true);
    this.#writePrimary(ccache);
  }

  setAwaitedDefault(name: string | undefined): void {
    this.#commit(() => this.#collectionFile.setAwaited(name, this.#collection as Collection));
  }

  setPrincipal(ccache: CCache, principal: string): void {
    this.replace(ccache, { principal, kdcOffset: undefined, credentials: ccache.contents.credentials });
  }

  setOffset(ccache: CCache, offset: number | undefined): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.setHeading({ ...log.heading, offset }));
    this.#bestEffort(() => log.showOffset());
  }

  store(ccache: CCache, credential: NewCredential, replaced: readonly StoredCredential[]): number {
    const log = this.#logOf(ccache);
    return this.#commit(() => log.add(credential, replaced));
  }

  remove(ccache: CCache, credentials: readonly StoredCredential[]): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.remove(credentials));
  }

  /** Keeps what another program has put where a new ccache gets its file. */
  #makeWay(ccache: number): void {
    const found = lstatSync(pathOfCCache(this.#directory, ccache), { throwIfNoEntry: false });
    const place = { directory: this.#directory, log: this.#log };
    if (found) setAside(place, fileName(ccache), 'a new ccache gets its name');
  }

  #isWhole(): boolean {
    return this.#collectionFile.isIntact && [...this.#logs.values()].every((log) => log.isIntact);
  }

  #writeAll(): void {
    makeDirectory(this.#directory, this.#sync);
    for (const ccache of this.#collection ?? []) this.#rewrite(ccache);
    this.#collectionFile.raise(this.#collection as Collection);
    this.#primary = undefined;
    this.#writePrimary(this.#collection?.default);
  }

  /** Writes the file of a ccache anew, without what was removed from it. */
  #rewrite(ccache: CCache): void {
    const log = this.#logs.get(numberOfCCache(ccache.identifier)) as CCacheLog;
    this.#keepOpen(log).write(log.heading, ccache.contents.credentials);
  }

  /** The file of a ccache, for a change to it. */
  #logOf(ccache: CCache): CCacheLog {
    const log = this.#keepOpen(this.#logs.get(numberOfCCache(ccache.identifier)) as CCacheLog);
    if (log.isMostlyDead && !this.#isForsaken) this.#bestEffort(() => this.#rewrite(ccache));
    return log;
  }

  /** A file that is used is open; the one that was not used for longest is closed where they become too many. */
  #keepOpen(log: CCacheLog): CCacheLog {
    this.#open.delete(log);
    this.#open.add(log);
    if (this.#open.size > MAX_OPEN) {
      const [oldest] = this.#open as Set<CCacheLog>;
      oldest?.close();
      this.#open.delete(oldest as CCacheLog);
    }
    return log;
  }

  #forget(log: CCacheLog, ccache: CCache): void {
    log.close();
    this.#open.delete(log);
    this.#logs.delete(numberOfCCache(ccache.identifier));
  }

  /** Where a ccache got the first position, no default is awaited any more. The position says so, and so does the file. */
  #countPosition(isFirst: boolean): void {
    if (isFirst) this.#bestEffort(() => this.#collectionFile.setAwaited(undefined, this.#collection as Collection));
  }

  /** Tells libkrb5 which is the primary. */
  #writePrimary(primary: CCache | string | undefined): void {
    if (primary === undefined) return;
    const name = typeof primary === 'string' ? primary : fileName(numberOfCCache(primary.identifier));
    if (name === this.#primary) return;
    this.#bestEffort(() => {
      replaceFile(`${this.#directory}/${PRIMARY_FILE}`, Buffer.from(`${name}\n`), this.#sync);
      this.#primary = name;
    });
  }

  /** Does what the collection is stored without. */
  #bestEffort(action: () => void): void {
    try {
      action();
    } catch (error) {
      this.#logFailure(error as Error);
    }
  }

  /** Makes a change. Throws 203 (`ccErrNoMem`) where there is no room or no way to write, and has changed nothing then. */
  #commit<T>(change: () => T): T {
    try {
      if (this.#isForsaken) throw new Error('another worker may own it');
      const result = this.#retry(() => {
        this.#collectionFile.reserve(this.#collection as Collection);
        return change();
      });
      if (this.#isFailing) this.#log.info(`can write ${this.#directory} again`);
      this.#isFailing = false;
      return result;
    } catch (error) {
      this.#logFailure(error as Error);
      throw new CCAPIError('ccErrNoMem', `cannot store the change: ${(error as Error).message}`, { cause: error });
    }
  }

  /** Where files were removed meanwhile, they are written anew first; where there is no room, the view gives up its own. */
  #retry<T>(action: () => T): T {
    try {
      return action();
    } catch (error) {
      const { code = '' } = error as NodeJS.ErrnoException;
      if (['ENOSPC', 'EDQUOT'].includes(code) && this.#view?.yieldRoom()) return action();
      if (!(error instanceof ChangedFileError) && !['ENOENT', 'ENOTDIR'].includes(code)) throw error;
      if (this.#isWhole()) throw error;
      this.restore();
      return action();
    }
  }

  /** Logs once, until it works again. */
  #logFailure(error: Error): void {
    if (!this.#isFailing) this.#log.error(`cannot write ${this.#directory}: ${error.message}`);
    this.#isFailing = true;
  }
}

function makeDirectory(path: string, sync: boolean): void {
  try {
    mkdirSync(path, { mode: 0o700 });
    if (sync) syncDirectory(dirname(path));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
  const found = lstatSync(path);
  if (!found.isDirectory()) throw new InsecurePathError(`${path} is not a directory; it is not used`);
  if ((found.mode & 0o777) !== 0o700 && found.uid === process.geteuid?.()) chmodSync(path, 0o700);
}
