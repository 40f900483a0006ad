// What stock Kerberos programs are given by us and by every other place for tickets that this machine has: the same C
// program on libkrb5, and so the same bytes, for all of them.
import { existsSync } from 'node:fs';
import { cleanEnvironment, run } from '../setup/programs.ts';
import { compiled } from './compiled.ts';
import { connections } from './connections.ts';
import { logins } from './logins.ts';
import { atWorkersSocket, type Peer, startPeers } from './peers.ts';
import { pin } from './pin.ts';
import { median } from './table.ts';
import { wholePrograms } from './whole-programs.ts';

/** Operations, by the names that the load program gives them. */
export const operations = {
  store: 'store',
  lookUp: 'look up',
  list: 'list',
  principal: 'principal',
  walk: 'walk',
  crowd: 'look up',
} as const;
export type Operation = keyof typeof operations;

/** Operations a second of a peer at a size; `stored` is how much of the size it came to. */
export interface Cell {
  peer: string;
  operation: Operation;
  size: number;
  pinned: boolean;
  perSecond: number;
  stored: number;
}

/** How long each operation is tried for, in seconds; storing for ten times as long at the most. */
const SECONDS = 0.1;
const SECONDS_AT_MOST = 0.6;

/** Runs every case on every peer, the rounds interleaved. */
export async function kerberos(quick: boolean): Promise<{
  cells: Cell[];
  /** The same at the worker's own socket. */
  direct: Cell[];
  notes: string[];
  programs: string;
  connections: string;
  load?: string;
}> {
  const load = compiled('load', 'krb5');
  if (!load)
    return {
      cells: [],
      direct: [],
      programs: '',
      connections: '',
      notes: ['no C compiler with the headers of libkrb5: the peers are not compared'],
    };
  const { peers, missing } = await startPeers();
  const notes = missing.map((what) => `not compared: ${what}`);
  const pinnings = quick || !existsSync('/usr/bin/taskset') ? [false] : [true, false];
  const cells: Cell[] = [];
  // A server that has been in use for a while is what is compared.
  for (let run = 0; run < (quick ? 1 : 3); run++)
    for (const peer of peers) await measured(load, peer, 1000, 'ccache', SECONDS);
  for (const size of quick ? [100] : [100, 1000, 10_000, 100_000]) {
    const rounds = quick ? 1 : size > 10_000 ? 1 : 5;
    for (const pinned of size > 10_000 ? pinnings.slice(0, 1) : pinnings) {
      cells.push(...(await compared(load, peers, { size, pinned, rounds, kind: 'ccache' })));
    }
  }
  for (const size of quick ? [10] : [10, 100, 1000]) {
    const walking = peers.filter(({ collection }) => collection !== '');
    cells.push(...(await compared(load, walking, { size, pinned: !quick, rounds: quick ? 1 : 5, kind: 'collection' })));
  }
  for (const size of quick ? [8] : [1, 8, 64]) {
    cells.push(...(await compared(load, peers, { size, pinned: false, rounds: quick ? 1 : 5, kind: 'crowd' })));
  }
  const direct = [await atWorkersSocket()];
  const size = quick ? 100 : 1000;
  const setup = { size, pinned: !quick, rounds: quick ? 1 : 5 } as const;
  return {
    cells,
    direct: [
      ...(await compared(load, direct, { ...setup, kind: 'ccache' })),
      ...(await compared(load, direct, { ...setup, size: 100, kind: 'collection' })),
    ],
    notes,
    programs: await wholePrograms(load, peers, quick),
    connections: [await connections(load, peers, quick), await logins(peers, quick)].join('\n\n'),
    load,
  };
}

/** What a run of the load program gives. */
const given = {
  ccache: ['store', 'lookUp', 'list', 'principal'],
  collection: ['walk'],
  crowd: ['crowd'],
} as const;

interface Case {
  size: number;
  pinned: boolean;
  rounds: number;
  kind: 'ccache' | 'collection' | 'crowd';
}

async function compared(load: string, peers: Peer[], { size, pinned, rounds, kind }: Case): Promise<Cell[]> {
  const samples = new Map<Peer, Record<string, number>[]>(peers.map((peer) => [peer, []]));
  for (const pid of peers.flatMap(({ pids }) => pids)) pin(pid, pinned);
  for (let round = 0; round < rounds; round++) {
    for (const peer of peers) {
      const sample = await measured(load, peer, size, kind, size > 10_000 ? SECONDS_AT_MOST : SECONDS, pinned);
      if (sample) samples.get(peer)?.push(sample);
    }
  }
  const names = given[kind];
  return [...samples].flatMap(([{ name: peer }, results]) =>
    names.map((operation) => ({
      peer,
      operation,
      size,
      pinned,
      perSecond: median(results.map((result) => result[operation] ?? 0)),
      stored: median(results.map((result) => result.stored ?? 0)),
    })),
  );
}

/** One run of the load program; undefined where the peer gave up. */
async function measured(
  load: string,
  { ccache, collection, pattern, env, wrapper }: Peer,
  size: number,
  kind: Case['kind'],
  seconds: number,
  pinned = false,
): Promise<Record<string, number> | undefined> {
  const what = { ccache: [ccache], collection: ['--walk', pattern], crowd: ['--crowd', ccache] }[kind];
  const pin = pinned ? ['/usr/bin/taskset', '-c', '0'] : [];
  const [program = '', ...args] = [...wrapper, ...pin, load, ...what, String(size), String(seconds)];
  const environment = cleanEnvironment({ ...env, KRB5CCNAME: kind === 'collection' ? collection : ccache });
  const { code, stdout } = await run(program, args, { env: environment });
  const line = stdout.split('\n').find((text) => text.startsWith('{'));
  return code === 0 && line ? JSON.parse(line) : undefined;
}

/** What a size counts. */
const units: { [Name in Operation]?: string } = { walk: 'ccaches', crowd: 'clients at once, 100 credentials' };

export function labelOf(operation: Operation, size: number): string {
  return `${operations[operation]}, ${size.toLocaleString('en')} ${units[operation] ?? 'credentials'}`;
}

/** Rows of operations and sizes, a column for each peer: thousands of operations a second. */
export function asRates(cells: Cell[], pinned: boolean): string {
  const chosen = cells.filter((cell) => cell.pinned === pinned);
  const peers = [...new Set(chosen.map(({ peer }) => peer))];
  const rows = [...new Set(chosen.map(({ operation, size }) => `${operation} ${size}`))];
  const lines = rows.map((row) => {
    const [operation, size] = row.split(' ') as [Operation, string];
    const found = peers.map((peer) =>
      chosen.find((cell) => cell.peer === peer && cell.operation === operation && cell.size === Number(size)),
    );
    return `| ${labelOf(operation, Number(size))} | ${found.map(asRate).join(' | ')} |`;
  });
  return [`| | ${peers.join(' | ')} |`, `| --- | ${peers.map(() => '---:').join(' | ')} |`, ...lines].join('\n');
}

function asRate(cell: Cell | undefined): string {
  if (!cell) return '';
  if (cell.perSecond === 0 || Number.isNaN(cell.perSecond)) return '–';
  const rate = Math.round(cell.perSecond).toLocaleString('en');
  return cell.stored < cell.size ? `${rate}, stopped at ${Math.round(cell.stored).toLocaleString('en')}` : rate;
}
