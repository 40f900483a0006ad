import { closeSync, constants, fsyncSync, lstatSync, openSync, readFileSync, writeSync } from 'node:fs';
import type { Clock } from '../model/change-time.ts';
import type { Collection } from '../model/collection.ts';
import { type Identifiers, MAX_CCACHES, MAX_LISTS, numberOfCCache } from '../model/identifiers.ts';
import { replaceFile } from './atomic-file.ts';
import type { Heading } from './heading.ts';
import { fromSummedJSON, isCount, toSummedJSON } from './summed-json.ts';

/** The name of the file. */
export const COLLECTION_FILE = 'collection';

const emptyState = {
  /** The version of the format. */
  ccapi: 2,
  /** What the identifiers are made of (`identifiers.ts`). */
  server: '',
  seed: '',
  ccaches: 0,
  lists: 0,
  /** How many names of their own were given out. */
  unique: 0,
  /** When the collection or a ccache last changed, in seconds since 1970. */
  changed: 0,
  /** The name of the ccache that becomes the default when it is created, unless another got a position before `front`. */
  awaited: null as { name: string; front: number } | null,
  /** Written at an end in order: the number of each ccache, and when it last changed. */
  times: [] as [ccache: number, changed: number][],
};

/**
 * What is known of a collection beside its ccaches. The counts and the time are ceilings: nothing above them was ever
 * given out. After an end in order they are what was given out last.
 */
export type CollectionState = typeof emptyState;

/** The file is as long as a multiple of this, in bytes, so that it can be overwritten in place. */
const PADDING = 4096;

/** The longest file that is read, in bytes. */
const MAX_FILE = 2 ** 26;

/** How far one change moves the change times and the clock on at the most, in seconds. */
const MAX_BUMPS = 16;

/** How many numbers are reserved at a time. */
const BLOCK = 64;

/** How many seconds of change times are reserved at a time. After a crash they are ahead of the clock by no more. */
const SECONDS = 2048;

/**
 * The file of a collection: a line of JSON with a sum, which is replaced as a whole. It reserves what the collection gives
 * out: a ceiling is written before anything below it is given out, and the worker after a crash goes on from there. So no
 * number is given out twice, and no time falls.
 */
export class CollectionFile {
  readonly #path: string;
  readonly #sync: boolean;
  #size = 0;
  #state: CollectionState | undefined;
  #identifiers!: Identifiers;
  #now!: Clock;
  #collection!: Collection;
  /** The lowest and the highest position that a ccache has. */
  #front = 0;
  #end = 0;

  /** `sync` has each ceiling on the medium before it is relied on. */
  constructor(directory: string, sync: boolean) {
    this.#path = `${directory}/${COLLECTION_FILE}`;
    this.#sync = sync;
  }

  /** Whether the file is there, as long as it was left. */
  get isIntact(): boolean {
    return this.#size > 0 && lstatSync(this.#path, { throwIfNoEntry: false })?.size === this.#size;
  }

  /** Undefined where there is no such file. Throws `SyntaxError` for a damaged one, or the system's error. */
  read(): CollectionState | undefined {
    try {
      if (lstatSync(this.#path).size > MAX_FILE) throw new SyntaxError('it is too long');
      const text = readFileSync(this.#path, 'utf8');
      this.#state = fromSummedJSON(text.trimEnd(), emptyState, isState);
      if (!this.#state) throw new SyntaxError('it is damaged');
      this.#size = Buffer.byteLength(text);
      return this.#state;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  }

  /** Goes on from what was read. */
  resume(identifiers: Identifiers, now: Clock, headings: readonly Heading[]): void {
    this.#identifiers = identifiers;
    this.#now = now;
    // An awaited default that is over is not awaited again once the ccache that took its place is destroyed.
    const positions = [this.#state?.awaited?.front ?? 0, ...headings.map(({ position }) => position)];
    this.#front = positions.reduce((lowest, position) => Math.min(lowest, position), 0);
    this.#end = positions.reduce((highest, position) => Math.max(highest, position), 0);
  }

  /** What is written is of this collection from here on. */
  attach(collection: Collection): void {
    this.#collection = collection;
  }

  /** The position of a ccache that goes before all others, or behind them. */
  newPosition(isFirst: boolean): number {
    return isFirst ? --this.#front : ++this.#end;
  }

  /** Makes sure that the next change stays below the ceilings. Throws the system's error. */
  reserve(): void {
    const { ccaches, lists } = this.#identifiers.state;
    const state = this.#state;
    const isBelow =
      state !== undefined &&
      ccaches <= state.ccaches &&
      lists <= state.lists &&
      this.#collection.nextUnique <= state.unique &&
      this.#latest <= state.changed;
    if (!isBelow) this.raise();
  }

  /** Raises the ceilings. Throws the system's error. */
  raise(awaited = this.#state?.awaited ?? null): void {
    const { changed = 0 } = this.#state ?? {};
    const { server, seed, ccaches, lists } = this.#identifiers.state;
    this.#write({
      ...emptyState,
      ...{ server, seed, awaited },
      ccaches: ccaches + BLOCK,
      lists: lists + BLOCK,
      // Users see these names, which therefore have no gaps.
      unique: this.#collection.nextUnique,
      changed: this.#latest > changed ? Math.min(this.#latest + SECONDS, 0xffff_ffff) : changed,
    });
  }

  /** Has a default awaited, or with undefined none. Throws the system's error, and has changed nothing then. */
  setAwaited(name: string | undefined): void {
    if (name !== this.#state?.awaited?.name) this.raise(name === undefined ? null : { name, front: this.#front });
  }

  /** Writes what was given out in place of ceilings: the process gives out nothing more. */
  writeExactly(): void {
    const { changed, nextUnique: unique } = this.#collection;
    const awaited = this.#state?.awaited ?? null;
    const times: CollectionState['times'] = [];
    for (const ccache of this.#collection) times.push([numberOfCCache(ccache.identifier), ccache.changed]);
    this.#write({ ...emptyState, ...this.#identifiers.state, unique, changed, awaited, times });
  }

  get #latest(): number {
    return Math.max(this.#collection.changed, this.#now()) + MAX_BUMPS;
  }

  /** Throws the system's error, and has changed nothing then. */
  #write(state: CollectionState): void {
    const line = Buffer.from(`${toSummedJSON(state)}\n`);
    const bytes = Buffer.alloc(Math.ceil(Math.max(line.length, this.#size) / PADDING) * PADDING, '\n');
    line.copy(bytes);
    try {
      replaceFile(this.#path, bytes, this.#sync);
    } catch (error) {
      const hasRoom = this.isIntact && this.#size === bytes.length;
      if (!['ENOSPC', 'EDQUOT'].includes((error as NodeJS.ErrnoException).code ?? '') || !hasRoom) throw error;
      // Without this nothing could be removed where there is no room: each change needs its time.
      const descriptor = openSync(this.#path, constants.O_RDWR | constants.O_NOFOLLOW);
      try {
        // It is not cut off where it fails, as what is appended: this would cost all identifiers.
        if (writeSync(descriptor, bytes, 0, bytes.length, 0) < bytes.length) throw error;
        if (this.#sync) fsyncSync(descriptor);
      } finally {
        closeSync(descriptor);
      }
    }
    this.#state = state;
    this.#size = bytes.length;
  }
}

/** Whether a file says what this version writes: a sum tells nothing of another program that writes one too. */
function isState({ ccapi, server, seed, ccaches, lists, unique, changed, awaited, times }: CollectionState): boolean {
  const isTime = (value: unknown) => isCount(value, 2 ** 32);
  return (
    ccapi === 2 &&
    /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(server) &&
    /^[0-9a-f]{8}$/.test(seed) &&
    isCount(ccaches, MAX_CCACHES) &&
    isCount(lists, MAX_LISTS) &&
    isCount(unique, MAX_CCACHES) &&
    isTime(changed) &&
    (awaited === null || (typeof awaited.name === 'string' && Number.isSafeInteger(awaited.front))) &&
    times.every((pair) => Array.isArray(pair) && isCount(pair[0], MAX_CCACHES) && isTime(pair[1]))
  );
}
