import { spawnSync } from 'node:child_process';
import type { Peer } from './peers.ts';

/** Has a process, with all its threads, run on the first core alone, or on any again; where taskset is not there, nothing. */
export function pin(pid: number, isPinned: boolean): void {
  spawnSync('/usr/bin/taskset', ['-apc', isPinned ? '0' : '0-1023', String(pid)], { stdio: 'ignore' });
}

/** Has the daemons of all peers run on the first core alone, or on any again. */
export function pinAll(peers: Peer[], isPinned: boolean): void {
  for (const pid of peers.flatMap(({ pids }) => pids)) pin(pid, isPinned);
}
