import { rmSync } from 'node:fs';
import type { Log } from '../../etc/host/log.ts';
import { CCAPIError } from '../../proto/errors.ts';
import type { CCache, Contents } from '../model/ccache.ts';
import type { Clock } from '../model/change-time.ts';
import type { Collection, StoredCollection } from '../model/collection.ts';
import type { StoredCredential } from '../model/credential-list.ts';
import { type Identifiers, numberOfCCache } from '../model/identifiers.ts';
import type { NewCCache, NewCredential, Storage } from '../model/storage.ts';
import { CCacheLog, fileName } from './ccache-log.ts';
import { CCacheLogs } from './ccache-logs.ts';
import { CollectionFile } from './collection-file.ts';
import { describeContents } from './heading.ts';
import type { LiveView } from './live-view.ts';
import { loadCollection, makeDirectory, makeWay, type StorageDirectory, writePrimary } from './load.ts';

/**
 * Keeps a collection in a directory that stock libkrb5 reads as a DIR collection: a FILE ccache for each ccache, the name
 * of the primary one, and a file for what is known of the collection itself. One append or one rename commits each change;
 * each other step is one that `load` makes up for.
 */
export class FileStorage implements Storage {
  readonly #place: StorageDirectory;
  #logs = new CCacheLogs();
  #collection: Collection | undefined;
  #view: LiveView | undefined;
  /** The default, as libkrb5 was told. */
  #primary: CCache | undefined;
  /** What a move makes the default; libkrb5 is told of no other before. */
  #nextDefault: CCache | undefined;
  #isFailing = false;
  #isForsaken = false;

  /** `sync` has each change on the medium before it is acknowledged. */
  constructor(directory: string, sync: boolean, log: Log) {
    this.#place = { directory, sync, log, collectionFile: new CollectionFile(directory, sync) };
  }

  /** Reads what is stored. Throws 224 where the path leads to no directory, or the system's error. */
  load(now: Clock): { identifiers: Identifiers; kept: StoredCollection } {
    makeDirectory(this.#place);
    const { identifiers, kept, logs } = loadCollection(this.#place, now);
    this.#logs = logs;
    return { identifiers, kept };
  }

  /** Stores the collection from here on. */
  attach(collection: Collection, kept: StoredCollection): void {
    this.#collection = collection;
    this.#place.collectionFile.attach(collection);
    collection.resume(this, kept);
    if (!this.#place.collectionFile.isIntact) this.#bestEffort(() => this.#place.collectionFile.raise());
    this.#writePrimary();
  }

  /** Writes the directory anew from memory, if something of it was removed. */
  restore(): void {
    if (this.#isForsaken) return;
    this.#bestEffort(() => {
      if (this.#isWhole()) return;
      this.#place.log.warning(`${this.#place.directory} has lost files; writing them anew`);
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
      this.#place.collectionFile.writeExactly();
    } catch (error) {
      // Nothing is lost: the next worker goes on from the ceilings.
      this.#place.log.warning(`cannot write the collection file: ${(error as Error).message}`);
    }
    this.#logs.closeAll();
  }

  /** Removes the directory, once it is closed. */
  removeDirectory(): void {
    this.#bestEffort(() => rmSync(this.#place.directory, { recursive: true, force: true }));
  }

  /** Has the live view told of each change. */
  show(view: LiveView): void {
    this.#view = view;
    view.begin();
  }

  noteChange(): void {
    const primary = this.#collection?.default;
    if (primary !== this.#primary && (this.#nextDefault ?? primary) === primary) this.#writePrimary();
    this.#view?.touch();
  }

  create({ identifier, name, contents, lastDefault, first }: NewCCache): void {
    const ccache = numberOfCCache(identifier);
    const position = this.#place.collectionFile.newPosition(first);
    const heading = { ccache, name, position, lastDefault, ...describeContents(contents) };
    const log = new CCacheLog(this.#place.directory, heading, this.#place.sync);
    this.#commit(() => {
      makeWay(this.#place, ccache);
      log.write(heading, contents.credentials);
    });
    this.#logs.add(log);
    this.#countPosition(first);
  }

  replace(ccache: CCache, contents: Contents): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.write({ ...log.heading, ...describeContents(contents) }, contents.credentials));
  }

  destroy(ccache: CCache): void {
    const log = this.#logOf(ccache);
    this.#commit(() => log.destroy());
    this.#logs.forget(ccache);
  }

  move(source: CCache, destination: CCache, { isNew, at }: { isNew: boolean; at?: number | undefined }): void {
    const log = this.#logOf(source);
    const former = isNew ? undefined : this.#logOf(destination);
    const isFirst = at !== undefined;
    const position = isFirst || !former ? this.#place.collectionFile.newPosition(isFirst) : former.heading.position;
    const lastDefault = at ?? former?.heading.lastDefault ?? 0;
    const ccache = numberOfCCache(destination.identifier);
    this.#commit(() => {
      if (isNew) makeWay(this.#place, ccache);
      log.moveTo({ ...log.heading, ccache, name: destination.name, position, lastDefault });
    });
    if (former) this.#logs.forget(destination);
    this.#logs.reassign(source);
    this.#countPosition(isFirst);
    if (isFirst) this.#nextDefault = destination;
  }

  makeDefault(ccache: CCache, at: number): void {
    const log = this.#logOf(ccache);
    const { heading } = log;
    const lastDefault = ccache === this.#collection?.default ? heading.lastDefault : at;
    this.#commit(() =>
      log.setHeading({ ...heading, position: this.#place.collectionFile.newPosition(true), lastDefault }),
    );
    this.#countPosition(true);
  }

  setAwaitedDefault(name: string | undefined): void {
    this.#commit(() => this.#place.collectionFile.setAwaited(name));
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
    return this.#commit(() => this.#logOf(ccache).add(credential, replaced));
  }

  remove(ccache: CCache, credentials: readonly StoredCredential[]): void {
    this.#commit(() => this.#logOf(ccache).remove(credentials));
  }

  #isWhole(): boolean {
    return this.#place.collectionFile.isIntact && this.#logs.areIntact;
  }

  #writeAll(): void {
    makeDirectory(this.#place);
    for (const ccache of this.#collection ?? []) this.#rewrite(ccache);
    this.#place.collectionFile.raise();
    this.#writePrimary();
  }

  /** Writes the file of a ccache anew, without what was removed from it. */
  #rewrite(ccache: CCache): void {
    const log = this.#logs.use(ccache);
    log.write(log.heading, ccache.contents.credentials);
  }

  /** The file of a ccache, for a change to it. */
  #logOf(ccache: CCache): CCacheLog {
    const log = this.#logs.use(ccache);
    if (log.isMostlyDead && !this.#isForsaken) this.#bestEffort(() => this.#rewrite(ccache));
    return log;
  }

  /** Where a ccache got the first position, no default is awaited any more. The position says so, and so does the file. */
  #countPosition(isFirst: boolean): void {
    if (isFirst) this.#bestEffort(() => this.#place.collectionFile.setAwaited(undefined));
  }

  /** Tells libkrb5 which is the default. */
  #writePrimary(): void {
    const primary = this.#collection?.default;
    [this.#primary, this.#nextDefault] = [primary, undefined];
    if (primary) this.#bestEffort(() => writePrimary(this.#place, fileName(numberOfCCache(primary.identifier))));
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
        this.#place.collectionFile.reserve();
        return change();
      });
      if (this.#isFailing) this.#place.log.info(`can write ${this.#place.directory} again`);
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
      if (['ENOSPC', 'EDQUOT'].includes(code) && this.#view) this.#view.yieldRoom();
      else if (this.#isWhole()) throw error;
      else this.restore();
      return action();
    }
  }

  /** Logs once, until it works again. */
  #logFailure(error: Error): void {
    if (!this.#isFailing) this.#place.log.error(`cannot write ${this.#place.directory}: ${error.message}`);
    this.#isFailing = true;
  }
}
