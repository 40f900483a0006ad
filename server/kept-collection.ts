import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import type { Log } from '../etc/log.ts';
import { unparsePrincipal } from '../proto/principal.ts';
import { CCache } from './ccache.ts';
import { bumped, type Clock } from './change-time.ts';
import type { KeptCollection } from './collection.ts';
import { CredentialList } from './credential-list.ts';
import { Identifiers, type ListIdentity } from './identifiers.ts';
import type { Journal } from './journal.ts';
import { KeptList, type ListOrigin, listNamed, originOf, pathOfList, principalIn, UNFINISHED } from './kept-list.ts';
import { type KeptState, stateFrom } from './kept-state.ts';
import { overwriteAndRemove } from './whole-writes.ts';

/** The place of what is kept. */
export interface KeptPlace {
  directory: string;
  journal: Journal;
  sync: boolean;
  log: Log;
}

/** What was read. */
export interface LoadedCollection {
  identifiers: Identifiers;
  kept: KeptCollection;
  /** The file of each list, by the list's number. */
  files: Map<number, KeptList>;
}

/** By how much a time grows with one change at the most. */
const MOST_BUMPS = 6;

/** Reads what a store has kept. What cannot be read is set aside, and said; all else is there. */
export function loadCollection(place: KeptPlace, now: Clock): LoadedCollection {
  const state = readState(place);
  const identifiers = new Identifiers(state);
  const files = new Map<number, KeptList>();
  let since = MOST_BUMPS * (state?.since ?? 0);
  const ccaches = (state?.order ?? []).map((number) => {
    const { name, list, principal, type, offset, lastDefault, changed, changes } =
      state?.entries.get(number) ?? missing();
    const file = new KeptList(pathOfList(place.directory, list), place.sync);
    files.set(list, file);
    const found = readList(place, file, identifiers.listNumbered(list));
    const credentials = found ?? CredentialList.afterLoss(identifiers.listNumbered(list));
    const contents = { principal, kdcOffset: offset, credentials, ...(type !== undefined && { nameType: type }) };
    if (!found) file.write(contents, credentials, { server: identifiers.server, name });
    file.close();
    const ownSince = MOST_BUMPS * (state?.since ?? 0) + credentials.changes - (changes ?? 0);
    since += credentials.changes - (changes ?? 0);
    const changedBy = atLeast(changed, ownSince, now);
    return new CCache(identifiers.ccacheNumbered(number), name, contents, changedBy, lastDefault);
  });
  discardUnknown(place, files, identifiers.server);
  const changed = atLeast(state?.changed, since, now);
  const kept = { ccaches, changed, nextUnique: state?.unique ?? 0, awaitedDefault: state?.awaited };
  return { identifiers, kept, files };
}

/** A time after so many changes that were not written down: times never fall, so it is one that cannot be too early. */
function atLeast(known: number | undefined, changes: number, now: Clock): number {
  if (known !== undefined && changes === 0) return known;
  return (bumped(known ?? 0, now()) + changes) >>> 0;
}

/** What the journal says, or else the files; undefined where nothing was ever kept here. */
function readState(place: KeptPlace): KeptState | undefined {
  const { directory, journal } = place;
  for (const unfinished of ['primary.new', 'journal.new']) rmSync(`${directory}/${unfinished}`, { force: true });
  if (existsSync(`${directory}/${UNFINISHED}`)) overwriteAndRemove(`${directory}/${UNFINISHED}`);
  try {
    const lines = journal.read();
    if (lines && lines.length > 0) return stateFrom(lines);
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    setAside(place, 'journal', error.message);
    journal.forget();
  }
  return stateFromFiles(place);
}

/** Without a journal: the ccaches that the files say they are of. What they are called else is lost. */
function stateFromFiles({ directory, log }: KeptPlace): KeptState | undefined {
  const serials = listsIn(directory).sort((a, b) => a - b);
  const found = serials.flatMap((serial) => isOf(originOf(pathOfList(directory, serial)), serial) ?? []);
  if (found.length === 0) return undefined;
  log.warning(`${directory}: the journal is lost; ${found.length} ccaches are taken from their files`);
  const identity = new Identifiers().state;
  const state = { ...identity, changed: 0, unique: 0, awaited: undefined, since: 1 };
  const entries: KeptState['entries'] = new Map();
  for (const [i, { list, name }] of found.entries()) {
    const { nameType, ...principal } = principalIn(pathOfList(directory, list));
    const unique = [...entries.values()].some((other) => other.name === name) ? `${name} (${list})` : name;
    const text = principal.realm === '' ? (principal.components[0] ?? '') : unparsePrincipal(principal);
    entries.set(i + 1, { name: unique, list, principal: text, type: nameType, lastDefault: 0 });
  }
  const lists = Math.max(...found.map(({ list }) => list));
  return { ...state, entries, order: [...entries.keys()], ccaches: found.length, lists };
}

function readList(place: KeptPlace, file: KeptList, identity: ListIdentity): CredentialList | undefined {
  try {
    const { list, tornBytes } = file.read(identity);
    if (tornBytes > 0) place.log.warning(`${file.path}: ${tornBytes} bytes of a half-written last entry are dropped`);
    return list;
  } catch (error) {
    setAside(place, file.path.slice(place.directory.length + 1), (error as Error).message);
    return undefined;
  }
}

/** What a change has left behind that was cut off, before it happened or after. Files of others' are none of ours. */
function discardUnknown({ directory }: KeptPlace, files: Map<number, KeptList>, server: string): void {
  for (const serial of listsIn(directory)) {
    const path = pathOfList(directory, serial);
    if (!files.has(serial) && isOf(originOf(path), serial)?.server === server) overwriteAndRemove(path);
  }
}

/** The numbers of the lists whose files are there, by their names. */
function listsIn(directory: string): number[] {
  return readdirSync(directory).flatMap((name) => listNamed(name) ?? []);
}

/** A file may have been copied under another's name. */
function isOf(origin: ListOrigin | undefined, serial: number): ListOrigin | undefined {
  return origin?.list === serial ? origin : undefined;
}

/** Nothing that holds somebody's tickets is deleted because we do not understand it. */
function setAside({ directory, log }: KeptPlace, name: string, why: string): void {
  const aside = `set-aside.${name}.${Date.now()}`;
  try {
    renameSync(`${directory}/${name}`, `${directory}/${aside}`);
    log.error(`${directory}/${name} cannot be read (${why}); it is set aside as ${aside}`);
  } catch (error) {
    log.error(`${directory}/${name} cannot be read (${why}): ${(error as Error).message}`);
  }
}

function missing(): never {
  throw new SyntaxError('a ccache that is not there');
}
