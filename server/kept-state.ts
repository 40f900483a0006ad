import type { IdentifierState } from './identifiers.ts';

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
interface Lines {
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
  /** How many changes it tells of that are not in its first line's times. */
  since: number;
}

/** What each kind of line changes. */
const kinds: { [Kind in keyof Lines]: (state: KeptState, line: Lines[Kind]) => void } = {
  ccapi: (state, { ccapi: _, awaited, ...known }) =>
    Object.assign(state, known, { awaited: awaited ?? undefined, since: -1 }),
  made: (state, { made, first, unique, ...entry }) => {
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
    become(entryOf(state, replaced), contents);
    state.lists = Math.max(state.lists, contents.list);
  },
  destroyed: (state, { destroyed }) => forget(state, destroyed),
  moved: (state, { moved, to, name, at }) => {
    const source = entryOf(state, moved);
    if (name !== undefined) {
      state.entries.set(to, { ...source, name, lastDefault: 0 });
      state.order = [...state.order, to];
      state.ccaches = Math.max(state.ccaches, to);
    }
    become(entryOf(state, to), source);
    forget(state, moved);
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
  const state = { changed: 0, unique: 0, awaited: undefined, entries, order: [], since: 0 } as unknown as KeptState;
  for (const line of lines) {
    const [kind = ''] = Object.keys(line);
    const change = Object.hasOwn(kinds, kind) ? kinds[kind as keyof Lines] : undefined;
    if (!change || (kind === 'ccapi') !== (line === lines[0])) throw new SyntaxError(`a line of kind ${kind}`);
    change(state, line as never);
    state.since++;
  }
  return state;
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
