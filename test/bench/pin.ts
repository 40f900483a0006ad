import { spawnSync } from 'node:child_process';

/** Has a process, with all its threads, run on the first core alone, or on any again; where taskset is not there, nothing. */
export function pin(pid: number, isPinned: boolean): void {
  spawnSync('/usr/bin/taskset', ['-apc', isPinned ? '0' : '0-1023', String(pid)], { stdio: 'ignore' });
}
