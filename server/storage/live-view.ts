import { closeSync, constants, fstatSync, lstatSync, openSync, renameSync } from 'node:fs';
import { keptDirectoryIn, VIEW_NAME } from '../../etc/config/paths.ts';
import { exchangeNames } from '../../etc/host/exchange-names.ts';
import type { Log } from '../../etc/host/log.ts';
import { monotonic } from '../../etc/host/monotonic.ts';
import { unlinkIfThere } from '../../etc/host/unlink-if-there.ts';
import { isStaging } from '../../proto/staging.ts';
import type { CCache } from '../model/ccache.ts';
import type { Collection } from '../model/collection.ts';
import { attempt, TEMPORARY, writeAndRename } from './atomic-file.ts';
import { FormerViews } from './former-views.ts';
import { consistsOf, viewOf } from './view-contents.ts';

/** A write counts for what it takes with the overwriting of a former view, and at least for so many milliseconds. */
const LEAST_COST = 2;

/** How many milliseconds of writes may follow each other at once, and the share of the time that they may take in the long run. */
const [BURST, SHARE] = [128, 0.1];

/** How soon after an event it is looked whether the view is still there, in milliseconds. */
const SETTLE = 50;

type TimerKind = 'update' | 'check';

/**
 * The live view: `krb5cc` beside the kept ccaches is at every moment the default ccache, a FILE ccache for programs that only
 * read files. It is a file of one name, since Heimdal's and Samba's libraries follow no link, and each change is the rename of
 * a whole file, since Java and others read without a lock.
 *
 * It is written before a change is acknowledged, unless writes would take more than a tenth of the time: then a moment later,
 * but for a change of which ccache is the default.
 */
export class LiveView {
  readonly #path: string;
  /** Not beside the view, where an event would tell of each step. */
  readonly #temporary: string;
  readonly #sync: boolean;
  readonly #log: Log;
  readonly #collection: Collection;
  /** Open for reading and writing, so that it can be overwritten once it has no name any more. */
  #descriptor: number | undefined;
  #size = 0;
  readonly #former: FormerViews;
  /** What the view shows: a ccache as it was at a change time. */
  #shown: CCache | undefined;
  #changed = 0;
  #isStale = true;
  #isFailing = false;
  #isForsaken = false;
  #credit = BURST;
  #creditAt = monotonic();
  #turn: NodeJS.Immediate | undefined;
  readonly #timers: Partial<Record<TimerKind, NodeJS.Timeout>> = {};

  /** `directory` is the worker's, with that of the kept ccaches in it. `sync` has a view on the medium before it gets its name. */
  constructor(directory: string, collection: Collection, sync: boolean, log: Log) {
    this.#path = `${directory}/${VIEW_NAME}`;
    this.#temporary = `${keptDirectoryIn(directory)}/${TEMPORARY}`;
    this.#former = new FormerViews(keptDirectoryIn(directory), (action) => this.#charge(0, action));
    this.#collection = collection;
    this.#sync = sync;
    this.#log = log;
  }

  /** Has the view be what the collection says, whatever a former worker or another program has left there. */
  begin(): void {
    this.#attempt(() => {
      const ccache = this.#wanted;
      if (!ccache || !this.#takeOver(ccache)) this.#write(ccache);
    });
  }

  /** Something has changed: what no reply acknowledges, such as a purge, is shown at the end of the turn. */
  touch(): void {
    if (this.#isStale) return;
    this.#isStale = true;
    this.#turn ??= setImmediate(() => {
      this.#turn = undefined;
      this.update();
    });
  }

  /** Brings the view up to date, before a change is acknowledged. */
  update(): void {
    if (!this.#isStale || this.#isForsaken) return;
    this.#isStale = false;
    const ccache = this.#wanted;
    if (ccache === this.#shown && (ccache?.changed ?? 0) === this.#changed) return;
    if (ccache === this.#shown && !this.#hasCredit()) {
      this.#isStale = true;
      this.#later('update', LEAST_COST / SHARE, () => this.update());
      return;
    }
    this.#charge(LEAST_COST, () => this.#attempt(() => this.#write(ccache)));
  }

  /** Looks soon whether the view is still there, if this is the name of one of its files; whether it is. */
  notice(name: string): boolean {
    if (!name.startsWith(VIEW_NAME)) return false;
    if (name === VIEW_NAME) this.#later('check', SETTLE, () => this.restore());
    return true;
  }

  /** Gives its room to the kept ccaches. The view is written again with the next request, if there is room for it. */
  yieldRoom(): void {
    this.#attempt(() => this.#remove());
    this.#isStale = true;
  }

  /** Writes the view anew where it was removed or replaced, or could not be written. */
  restore(): void {
    if (this.#isForsaken || (!this.#isFailing && this.#isInPlace())) return;
    this.#attempt(() => this.#write(this.#wanted));
  }

  /** Writes nothing any more: the directory may be another worker's. */
  forsake(): void {
    this.#isForsaken = true;
    this.#end();
  }

  /** Leaves the view up to date for the time in which no worker runs. */
  close(): void {
    if (!this.#isForsaken && this.#isStale) this.#attempt(() => this.#write(this.#wanted));
    this.#end();
  }

  #end(): void {
    for (const timer of Object.values(this.#timers)) clearTimeout(timer);
    clearImmediate(this.#turn);
    this.#former.shredAll();
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }

  /** The ccache that is to be shown; one that is still being filled is not. */
  get #wanted(): CCache | undefined {
    for (const ccache of this.#collection) if (!isStaging(ccache.name)) return ccache;
    return undefined;
  }

  /** Goes on with a file that a former worker has left, if it is what this one would write. */
  #takeOver(ccache: CCache): boolean {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (!found?.isFile() || found.nlink !== 1 || (found.mode & 0o777) !== 0o600) return false;
    [this.#descriptor, this.#size] = [openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW), found.size];
    const isSame = consistsOf(this.#descriptor, viewOf(ccache));
    if (isSame) this.#show(ccache);
    return isSame;
  }

  #write(ccache: CCache | undefined): void {
    if (!ccache) {
      this.#remove();
      return;
    }
    const { descriptor, size } = writeAndRename(this.#temporary, viewOf(ccache), this.#sync, () => this.#replace());
    [this.#descriptor, this.#size] = [descriptor, size];
    this.#show(ccache);
  }

  #show(ccache: CCache | undefined): void {
    [this.#shown, this.#changed, this.#isStale] = [ccache, ccache?.changed ?? 0, false];
  }

  /** What was destroyed is not readable for a moment longer. */
  #remove(): void {
    this.#clearTheWay();
    unlinkIfThere(this.#path);
    this.#leaveBehind();
    this.#former.shredAll();
    this.#show(undefined);
  }

  /** Gives the temporary file the view's name. The view so far keeps one, so that no program finds that it has none. */
  #replace(): void {
    if (this.#descriptor !== undefined && this.#isInPlace() && exchangeNames(this.#temporary, this.#path)) {
      this.#leaveBehind(this.#temporary);
    } else {
      this.#giveName();
      this.#leaveBehind();
    }
  }

  #giveName(): void {
    try {
      renameSync(this.#temporary, this.#path);
    } catch {
      this.#clearTheWay();
      renameSync(this.#temporary, this.#path);
    }
  }

  /** A directory cannot be renamed over, and may hold something. */
  #clearTheWay(): void {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (found?.isDirectory()) renameSync(this.#path, `${this.#path}.set-aside.${Date.now()}`);
  }

  /** The view so far is none any more; `path` is where it is now, if it has a name still. */
  #leaveBehind(path?: string): void {
    if (this.#descriptor !== undefined) this.#former.add(this.#descriptor, this.#size, path);
    this.#descriptor = undefined;
  }

  #isInPlace(): boolean {
    const found = lstatSync(this.#path, { throwIfNoEntry: false });
    if (!found || this.#descriptor === undefined) return !found && this.#descriptor === undefined;
    const own = fstatSync(this.#descriptor);
    // A program may have added tickets of its own to it; they stay until the next change.
    return found.ino === own.ino && found.dev === own.dev && found.nlink === 1 && found.size >= this.#size;
  }

  #hasCredit(): boolean {
    const now = monotonic();
    this.#credit = Math.min(BURST, this.#credit + (now - this.#creditAt) * SHARE);
    this.#creditAt = now;
    return this.#credit > 0;
  }

  /** Does something that counts for what it takes, and at least for so many milliseconds. */
  #charge(least: number, action: () => void): void {
    const began = monotonic();
    action();
    this.#credit -= Math.max(least, monotonic() - began);
  }

  /** One timer of each kind runs at a time, and none keeps the process. */
  #later(kind: TimerKind, milliseconds: number, act: () => void): void {
    this.#timers[kind] ??= setTimeout(() => {
      delete this.#timers[kind];
      act();
    }, milliseconds).unref();
  }

  /** A view that cannot be written is no reason to refuse a change; one that is out of date goes. */
  #attempt(action: () => void): void {
    try {
      action();
      this.#isFailing = false;
    } catch (error) {
      if (!this.#isFailing) this.#log.error(`cannot write ${this.#path}: ${(error as Error).message}`);
      this.#isFailing = true;
      // Where this fails too, it is tried again with the next change.
      attempt(() => this.#remove());
      this.#isStale = true;
    }
  }
}
