import type { IdentifierState } from './identifiers.ts';
import { checkedLine } from './journal-lines.ts';

/** What a journal says of the contents of a ccache. */
export interface KeptContents {
  /** The number of its list of credentials. */
  list: number;
  principal: string;
  type?: number | undefined;
  offset?: number | undefined;
}

/** What a journal says of a ccache. */
export interface KeptEntry extends KeptContents {
  name: string;
  lastDefault: number;
  /** When it last changed, and how many changes its list had seen by then; not of what was made since. */
  changed?: number;
  changes?: number;
}

/** The lines of a journal, by their kinds; the first key of a line is its kind. Ccaches are numbered. */
export interface Lines {
  /** The first line: what is known of the collection itself. */
  ccapi: { ccapi: 1; changed: number; unique: number; awaited: string | null } & IdentifierState;
  made: { made: number; first?: boolean; unique?: number } & KeptEntry;
  replaced: { replaced: number } & KeptContents;
  destroyed: { destroyed: number };
  /** With a name the other is new; with a time it becomes the default. */
  moved: { moved: number; to: number; name?: string | undefined; at?: number | undefined };
  default: { default: number; at: number };
  awaited: { awaited: string | null };
  principal: { principal: string; of: number };
  offset: { offset: number | null; of: number };
}

/** One of them. */
export type KeptLine = Lines[keyof Lines];

/** What a journal says. */
export interface KeptState extends IdentifierState {
  changed: number;
  unique: number;
  awaited: string | undefined;
  entries: Map<number, KeptEntry>;
  /** The numbers of the ccaches, the default one's first. */
  order: number[];
  /** The numbers of the lists whose contents were destroyed or replaced. */
  dropped: Set<number>;
  /** How many changes it tells of that are not in its first line's times. */
  since: number;
}

/** What each kind of line changes. */
const kinds: { [Kind in keyof Lines]: (state: KeptState, line: Lines[Kind]) => void } = {
  ccapi: (state, { ccapi: _, awaited, ...known }) =>
    Object.assign(state, known, { awaited: awaited ?? undefined, since: -1 }),
  made: (state, { made, first, unique, ...entry }) => {
    requireNew(state, made, entry);
    state.entries.set(made, entry);
    state.ccaches = Math.max(state.ccaches, made);
    state.lists = Math.max(state.lists, entry.list);
    state.order = first ? [made, ...state.order] : [...state.order, made];
    if (first) state.awaited = undefined;
    state.unique = unique ?? state.unique;
    // It stands in the first lines, which tell of what there is and of no change.
    if (entry.changed !== undefined) state.since--;
  },
  replaced: (state, { replaced, ...contents }) => {
    const entry = entryOf(state, replaced);
    drop(state, entry.list);
    become(entry, contents);
    state.lists = Math.max(state.lists, contents.list);
  },
  destroyed: (state, { destroyed }) => {
    drop(state, entryOf(state, destroyed).list);
    forget(state, destroyed);
  },
  moved: (state, { moved, to, name, at }) => {
    const source = entryOf(state, moved);
    if (name === undefined) drop(state, entryOf(state, to).list);
    else {
      requireNew(state, to, { ...source, name });
      state.entries.set(to, { ...source, name, lastDefault: 0 });
      state.order = [...state.order, to];
      state.ccaches = Math.max(state.ccaches, to);
    }
    become(entryOf(state, to), source);
    forget(state, moved);
    state.dropped.delete(source.list);
    if (at !== undefined) becomeDefault(state, to, at);
  },
  default: (state, { default: number, at }) => {
    if (state.order[0] === number) state.awaited = undefined;
    else becomeDefault(state, number, at);
  },
  awaited: (state, { awaited }) => {
    state.awaited = awaited ?? undefined;
  },
  principal: (state, { principal, of }) => {
    const entry = entryOf(state, of);
    become(entry, { list: entry.list, principal });
  },
  offset: (state, { offset, of }) => {
    entryOf(state, of).offset = offset ?? undefined;
  },
};

/** The state that the lines of a journal come to. Throws `SyntaxError` where one makes no sense. */
export function stateFrom(lines: readonly object[]): KeptState {
  const entries = new Map<number, KeptEntry>();
  const dropped = new Set<number>();
  const state = {
    changed: 0,
    unique: 0,
    awaited: undefined,
    entries,
    order: [],
    dropped,
    since: 0,
  } as unknown as KeptState;
  for (const [i, each] of lines.entries()) {
    const line = checkedLine(each);
    const kind = Object.keys(line)[0] as keyof Lines;
    if ((kind === 'ccapi') !== (i === 0)) throw new SyntaxError(`a line of kind ${kind} at its place ${i + 1}`);
    kinds[kind](state, line as never);
    state.since++;
  }
  const all = [...entries.values()];
  if (new Set(all.map(({ list }) => list)).size < all.length) throw new SyntaxError('two ccaches with one list');
  if (new Set(all.map(({ name }) => name)).size < all.length) throw new SyntaxError('two ccaches with one name');
  return state;
}

/** The numbers of ccaches are given out once. */
function requireNew(state: KeptState, number: number, { list }: KeptEntry): void {
  if (state.entries.has(number)) throw new SyntaxError(`ccache ${number} twice`);
  state.dropped.delete(list);
}

function drop(state: KeptState, list: number): void {
  state.dropped.add(list);
}

function entryOf(state: KeptState, number: number): KeptEntry {
  const entry = state.entries.get(number);
  if (!entry) throw new SyntaxError(`no ccache ${number}`);
  return entry;
}

function becomeDefault(state: KeptState, number: number, at: number): void {
  entryOf(state, number).lastDefault = at;
  state.order = [number, ...state.order.filter((other) => other !== number)];
  state.awaited = undefined;
}

/** Nothing is left of what the entry said of its contents; its time is still not before theirs. */
function become(entry: KeptEntry, { list, principal, type, offset, changed = 0 }: KeptContents & Partial<KeptEntry>) {
  const changes = list === entry.list ? entry.changes : 0;
  Object.assign(entry, { list, principal, type, offset, changes });
  if (entry.changed !== undefined) entry.changed = Math.max(entry.changed, changed);
}

function forget(state: KeptState, number: number): void {
  entryOf(state, number);
  state.entries.delete(number);
  state.order = state.order.filter((other) => other !== number);
}
