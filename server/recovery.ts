import { lstatSync, readdirSync, renameSync } from 'node:fs';
import type { Log } from '../etc/log.ts';
import { unparsePrincipal } from '../proto/principal.ts';
import { Identifiers } from './identifiers.ts';
import { type ListOrigin, originOf, readHeading } from './kept-heading.ts';
import type { KeptEntry, KeptState } from './kept-state.ts';
import { overwriteAndRemove } from './storage/atomic-file.ts';
import { listNamed, nameOfList, pathOfList } from './storage/ccache-log.ts';

/** Where something is kept. */
export interface KeptDirectory {
  directory: string;
  log: Log;
}

/** A list's file that can be read, and what it says of its ccache. */
interface SoundFile {
  origin: ListOrigin;
  entry: KeptEntry;
}

/**
 * Without a journal: the ccaches that the files say they are of; undefined where there are none. Their identifiers, their
 * times and which is the default are lost.
 */
export function stateFromFiles(place: KeptDirectory): KeptState | undefined {
  const found = soundFiles(place, () => true);
  if (found.length === 0) return undefined;
  place.log.warning(`${place.directory}: the journal is lost; ${found.length} ccaches are taken from their files`);
  const lists = Math.max(...found.map(({ origin }) => origin.list));
  const state: KeptState = {
    ...new Identifiers().state,
    lists,
    changed: 0,
    unique: 0,
    awaited: undefined,
    entries: new Map(),
    order: [],
    dropped: new Set(),
    since: 1,
  };
  for (const { entry } of found) adopt(state, { ...entry, name: freeName(state, entry) });
  return state;
}

/**
 * Decides about the files that a journal does not name. What it says was dropped, and what would have replaced a list
 * that is still there, is left of a change that was cut off, and is shredded. Anything else that can be read is a ccache
 * of which the journal has lost its last lines, and is taken as one. Files of others are left alone. Returns whether the
 * state is no longer what the journal says, so that this has to be written anew before anything is added to it.
 */
export function reconcile(place: KeptDirectory, state: KeptState): boolean {
  let isOther = false;
  const named = new Set([...state.entries.values()].map(({ list }) => list));
  for (const { origin, entry } of soundFiles(place, (list) => !named.has(list))) {
    if (origin.server !== state.server) continue;
    const path = pathOfList(place.directory, origin.list);
    const namesake = [...state.entries.values()].find(({ name }) => name === entry.name);
    const isSuperseded = namesake && readHeading(pathOfList(place.directory, namesake.list)) !== undefined;
    if (state.dropped.has(origin.list) || isSuperseded) {
      shred(path, place.log);
      continue;
    }
    place.log.warning(`${path} is not in the journal; its ccache is taken from it`);
    isOther = true;
    state.lists = Math.max(state.lists, origin.list);
    if (namesake) namesake.list = origin.list;
    else adopt(state, entry);
  }
  return isOther;
}

/** Keeps what cannot be read under another name: it may hold tickets. */
export function setAside({ directory, log }: KeptDirectory, name: string, why: string): void {
  const aside = `set-aside.${name}.${Date.now()}`;
  try {
    renameSync(`${directory}/${name}`, `${directory}/${aside}`);
    log.error(`${directory}/${name} cannot be read (${why}); it is set aside as ${aside}`);
  } catch (error) {
    log.error(`${directory}/${name} cannot be read (${why}): ${(error as Error).message}`);
  }
}

/** Sets aside what has one of these names, or the name of a list, and is no file: files have to be written there. */
export function setAsideOdd(place: KeptDirectory, names: readonly string[]): void {
  for (const name of [...names, ...listNumbers(place.directory).map(nameOfList)]) {
    const found = lstatSync(`${place.directory}/${name}`, { throwIfNoEntry: false });
    if (found && !found.isFile()) setAside(place, name, 'it is not a file');
  }
}

/** The numbers that the names of files in a directory have as lists, in their order. */
export function listNumbers(directory: string): number[] {
  return readdirSync(directory)
    .flatMap((name) => listNamed(name) ?? [])
    .sort((a, b) => a - b);
}

/** The files of lists that can be read and belong where they are, in the order of the lists' numbers. */
function soundFiles({ directory }: KeptDirectory, isWanted: (list: number) => boolean): SoundFile[] {
  return listNumbers(directory)
    .filter(isWanted)
    .flatMap((list) => {
      const path = pathOfList(directory, list);
      const origin = originOf(path);
      const heading = readHeading(path);
      // A file may have been copied under another's name.
      if (!heading || origin?.list !== list) return [];
      const { nameType, ...principal } = heading.principal;
      const text = principal.realm === '' ? (principal.components[0] ?? '') : unparsePrincipal(principal);
      const offset = heading.offset === 0 ? undefined : heading.offset;
      return [{ origin, entry: { name: origin.name, list, principal: text, type: nameType, offset, lastDefault: 0 } }];
    });
}

function shred(path: string, log: Log): void {
  try {
    overwriteAndRemove(path);
  } catch (error) {
    log.error(`${path} cannot be removed: ${(error as Error).message}`);
  }
}

function adopt(state: KeptState, entry: KeptEntry): void {
  const number = ++state.ccaches;
  state.entries.set(number, entry);
  state.order.push(number);
}

function freeName(state: KeptState, { name, list }: KeptEntry): string {
  const used = new Set([...state.entries.values()].map((other) => other.name));
  let free = name;
  while (used.has(free)) free = `${free} (${list})`;
  return free;
}
