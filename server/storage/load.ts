import { existsSync } from 'node:fs';
import type { Log } from '../../etc/log.ts';
import { CCache } from '../ccache.ts';
import { bumped, type Clock } from '../change-time.ts';
import type { KeptCollection } from '../collection.ts';
import { CredentialList } from '../credential-list.ts';
import { Identifiers, type ListIdentity } from '../identifiers.ts';
import type { Journal } from '../journal.ts';
import { type KeptState, stateFrom } from '../kept-state.ts';
import { listNumbers, reconcile, setAside, setAsideOdd, stateFromFiles } from '../recovery.ts';
import { overwriteAndRemove } from './atomic-file.ts';
import { KeptList, pathOfList, UNFINISHED } from './ccache-log.ts';

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

/** Files that are renamed once they are whole. */
const leftovers = ['primary.new', 'journal.new', UNFINISHED];

/** Reads what a store has kept. What cannot be read is set aside, and said; all else is there. */
export function loadCollection(place: KeptPlace, now: Clock): LoadedCollection {
  const state = readState(place);
  const identifiers = new Identifiers(state);
  // Also those of files that are none of ours, and must not be written over.
  identifiers.reserveLists(listNumbers(place.directory).at(-1) ?? 0);
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
  setAsideOdd(place, ['journal', 'primary', ...leftovers]);
  for (const name of leftovers) if (existsSync(`${directory}/${name}`)) overwriteAndRemove(`${directory}/${name}`);
  try {
    const lines = journal.read();
    if (lines && lines.length > 0) {
      const state = stateFrom(lines);
      if (reconcile(place, state)) journal.forget();
      return state;
    }
  } catch (error) {
    setAside(place, 'journal', (error as Error).message);
    journal.forget();
  }
  return stateFromFiles(place);
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

function missing(): never {
  throw new SyntaxError('a ccache that is not there');
}
