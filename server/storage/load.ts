import { chmodSync, existsSync, lstatSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../../etc/host/log.ts';
import { readRegularFile } from '../../etc/host/read-file.ts';
import { InsecurePathError } from '../../proto/errors.ts';
import { CCache } from '../model/ccache.ts';
import { bumped, type Clock } from '../model/change-time.ts';
import type { StoredCollection } from '../model/collection.ts';
import { CredentialList } from '../model/credential-list.ts';
import { Identifiers, type ListIdentity } from '../model/identifiers.ts';
import { attempt, replaceFile, shred, syncDirectory, TEMPORARY, TRASH } from './atomic-file.ts';
import { CCacheLog, ccacheOfFile, fileName, pathOfCCache } from './ccache-log.ts';
import { CCacheLogs } from './ccache-logs.ts';
import { COLLECTION_FILE, type CollectionFile, type CollectionState } from './collection-file.ts';
import { FORMER_PREFIX } from './former-views.ts';
import { contentsFor } from './heading.ts';
import { type FoundCCache, readLog } from './read-log.ts';

/** A file of a higher number has got it from another program; none is given out above that. */
const MAX_RESERVED = 2 ** 36;

/** Where a collection is stored. */
export interface StorageDirectory {
  directory: string;
  collectionFile: CollectionFile;
  sync: boolean;
  log: Log;
}

/** What was read of a directory. */
interface LoadedCollection {
  identifiers: Identifiers;
  kept: StoredCollection;
  /** The file of each ccache. */
  logs: CCacheLogs;
}

/**
 * The file in which libkrb5 looks for the name of the default ccache's file, a line. A worker goes by the positions of the
 * ccaches, and so loses nothing where this file is damaged. Source: the DIR ccache type of MIT's libkrb5.
 */
export const PRIMARY_FILE = 'primary';

/** The longest file of a ccache, and the longest primary file, that is read, in bytes. */
const [MAX_FILE, MAX_PRIMARY] = [2 ** 30, 2 ** 20];

/** Makes the directory where it is not there. Throws 224 where the path leads to none, or the system's error. */
export function makeDirectory({ directory: path, sync }: StorageDirectory): void {
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

/** Has the primary file say a name, where it does not yet. Throws the system's error. */
export function writePrimary(place: StorageDirectory, name: string): void {
  if (name === readPrimary(place)) return;
  replaceFile(`${place.directory}/${PRIMARY_FILE}`, Buffer.from(`${name}\n`), place.sync);
}

function readPrimary({ directory }: StorageDirectory): string | undefined {
  return attempt(() => readRegularFile(`${directory}/${PRIMARY_FILE}`, MAX_PRIMARY).toString().trimEnd());
}

/** Reads a directory. What cannot be read is set aside and logged, and costs nothing else; no file that can be read goes. */
export function loadCollection(place: StorageDirectory, now: Clock): LoadedCollection {
  clear(place);
  const state = readState(place);
  const found = ccacheNumbers(place.directory).flatMap((ccache) => readFile(place, ccache) ?? []);
  if (!state && found.length > 0) {
    place.log.warning(
      `${place.directory}: no ${COLLECTION_FILE} file; ${found.length} ccaches are taken from their own`,
    );
  }
  const identifiers = identifiersFor(state, found);
  const changed = state?.changed ?? bumped(0, now());
  const times = new Map(state?.times);
  const logs = new Map<number, CCacheLog>();
  const ccaches = settle(place, found, identifiers).map((each) => {
    const { heading } = each;
    const contents = contentsFor(heading, listOf(each, identifiers.listIdentity(heading.list)));
    const time = times.get(heading.ccache) ?? changed;
    const identifier = identifiers.ccacheIdentifier(heading.ccache);
    const ccache = new CCache(identifier, heading.name, contents, time, heading.lastDefault);
    const log = new CCacheLog(place.directory, heading, place.sync);
    logs.set(heading.ccache, log);
    resume(place, log, each, contents.credentials);
    return ccache;
  });
  const kept = { ccaches, changed, nextUnique: state?.unique ?? 0, awaitedDefault: awaitedDefault(state, logs) };
  place.collectionFile.resume(
    identifiers,
    now,
    [...logs.values()].map(({ heading }) => heading),
  );
  return { identifiers, kept, logs: new CCacheLogs(logs) };
}

/** Sets aside what is no file and has a name that one is needed under, and overwrites what a crash left over. */
function clear(place: StorageDirectory): void {
  const { directory, log } = place;
  const files = ccacheNumbers(directory).map(fileName);
  const former = readdirSync(directory).filter((name) => name.startsWith(FORMER_PREFIX));
  const leftovers = [TEMPORARY, TRASH, ...former];
  for (const name of [COLLECTION_FILE, PRIMARY_FILE, ...leftovers, ...files]) {
    const found = lstatSync(`${directory}/${name}`, { throwIfNoEntry: false });
    if (found && !found.isFile()) setAside(place, name, 'it is not a file');
  }
  for (const path of leftovers.map((name) => `${directory}/${name}`)) {
    if (!existsSync(path)) continue;
    try {
      shred(path);
    } catch (error) {
      log.error(`cannot remove ${path}: ${(error as Error).message}`);
    }
  }
}

function readState(place: StorageDirectory): CollectionState | undefined {
  try {
    return place.collectionFile.read();
  } catch (error) {
    if (isShortage(error)) throw error;
    setAside(place, COLLECTION_FILE, (error as Error).message);
    return undefined;
  }
}

function readFile(place: StorageDirectory, ccache: number): FoundCCache | undefined {
  const path = pathOfCCache(place.directory, ccache);
  try {
    const { size, mode, nlink } = lstatSync(path);
    if ((mode & 0o400) === 0) chmodSync(path, 0o600);
    if (size > MAX_FILE) throw new Error(`${size} bytes are more than a ccache has`);
    const bytes = readFileSync(path);
    try {
      const found = readLog(ccache, bytes);
      // What others may read, or has another name, is not kept up.
      const isOpen = (mode & 0o777) !== 0o600 || nlink > 1;
      return found && { ...found, needsRewrite: found.needsRewrite || isOpen };
    } finally {
      bytes.fill(0);
    }
  } catch (error) {
    if (isShortage(error)) throw error;
    setAside(place, fileName(ccache), (error as Error).message);
    return undefined;
  }
}

/** Whether an error says nothing of the file: the next start can read it. */
function isShortage(error: unknown): boolean {
  return ['EMFILE', 'ENFILE', 'ENOMEM'].includes((error as NodeJS.ErrnoException).code ?? '');
}

/** Keeps a file under another name: it may hold tickets. */
function setAside({ directory, log }: StorageDirectory, name: string, why: string): void {
  const aside = `set-aside.${name}.${Date.now()}`;
  try {
    renameSync(`${directory}/${name}`, `${directory}/${aside}`);
    log.error(`cannot use ${directory}/${name} (${why}); set aside as ${aside}`);
  } catch (error) {
    log.error(`cannot use ${directory}/${name} (${why}): ${(error as Error).message}`);
  }
}

/** Keeps what another program has put where a new ccache gets its file. */
export function makeWay(place: StorageDirectory, ccache: number): void {
  const found = lstatSync(pathOfCCache(place.directory, ccache), { throwIfNoEntry: false });
  if (found) setAside(place, fileName(ccache), 'a new ccache gets its name');
}

/** The numbers of which there are files, in their order. */
function ccacheNumbers(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => ccacheOfFile(name) ?? [])
    .sort((a, b) => a - b);
}

/** They go on above all numbers that were given out, also where no collection file tells of them. */
function identifiersFor(state: CollectionState | undefined, found: FoundCCache[]): Identifiers {
  const { ccaches, lists, ...rest } = state ?? new Identifiers().state;
  const counted = found.filter(({ heading }) => heading.ccache < MAX_RESERVED);
  const highest = (key: 'ccache' | 'list', least: number) =>
    counted.reduce((most, { heading }) => Math.max(most, heading[key]), least);
  return new Identifiers({ ...rest, ccaches: highest('ccache', ccaches), lists: highest('list', lists) });
}

/** The ccaches in their order. A name and a list are one ccache's each: of two with one of them, the one with the later list's. */
function settle(place: StorageDirectory, found: FoundCCache[], identifiers: Identifiers): FoundCCache[] {
  const names = new Set<string>();
  const lists = new Set<number>();
  const primary = readPrimary(place);
  const settled = found
    .toSorted((a, b) => b.heading.list - a.heading.list)
    .map((each) => {
      const { ccache } = each.heading;
      let { name, list, position } = each.heading;
      while (names.has(name)) name = `${name} (${ccache})`;
      if (!each.hasHeading && fileName(ccache) === primary) position = 0;
      if (!each.hasHeading || lists.has(list)) list = identifiers.list().listId;
      names.add(name);
      lists.add(list);
      const isSaid = each.hasHeading && name === each.heading.name && list === each.heading.list;
      const needsRewrite = !isSaid || each.needsRewrite;
      return { ...each, heading: { ...each.heading, name, list, position }, needsRewrite };
    });
  return settled.sort(({ heading: a }, { heading: b }) => a.position - b.position);
}

function listOf({ credentials, nextIndex }: FoundCCache, identity: ListIdentity): CredentialList {
  const list = new CredentialList(identity);
  for (const [index, { value, marshalled, at }] of credentials) {
    list.reserve(index - list.nextIndex);
    list.append(value, at, marshalled);
  }
  list.reserve(nextIndex - list.nextIndex);
  return list;
}

/** Goes on with a file: without what stands behind its last whole record, and with a heading. */
function resume({ log }: StorageDirectory, file: CCacheLog, found: FoundCCache, list: CredentialList): void {
  if (found.torn > 0) log.warning(`${file.path}: dropping ${found.torn} bytes of a half-written last entry`);
  try {
    file.resume(found);
    if (found.needsRewrite) file.write(found.heading, list);
  } catch (error) {
    log.error(`cannot write ${file.path}: ${(error as Error).message}`);
  }
  file.close();
}

/** The awaited default, unless it is there by now, or another ccache became the default since. */
function awaitedDefault(state: CollectionState | undefined, logs: Map<number, CCacheLog>): string | undefined {
  const { name, front } = state?.awaited ?? {};
  if (name === undefined || front === undefined) return undefined;
  const isOver = [...logs.values()].some(({ heading }) => heading.name === name || heading.position < front);
  return isOver ? undefined : name;
}
