import { readFileSync, readlinkSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';

/**
 * Keeps a storm of launchers from starting a storm of workers: a link that leads nowhere and names its process, which one
 * of them can make. Returns how to give it back; undefined while a process that lives has it. Workers decide among
 * themselves anyhow which of them serves, so that it does no harm where two processes come to think that it is theirs.
 */
export function acquireStartLock(path: string): (() => void) | undefined {
  const own = processName(process.pid);
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      symlinkSync(own, path);
      return () => release(path, own);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      const holder = holderOf(path);
      if (holder !== undefined && holder === processName(Number(holder.split('.')[0]))) return undefined;
      removeStale(path);
    }
  }
  return undefined;
}

function release(path: string, own: string): void {
  if (holderOf(path) === own) removeStale(path);
}

function holderOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // It is gone, or it is the directory that an earlier version had as its lock.
    return undefined;
  }
}

function removeStale(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    removeDirectoryLock(path);
  }
}

/** An earlier version had an empty directory as its lock. */
function removeDirectoryLock(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // It is no lock of ours, and is left alone.
  }
}

/** A process's pid with its start time, by which it differs from a later process of that pid; empty where there is none. */
function processName(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name of the program, in parentheses, may hold anything; the start time is the 20th field behind it.
    return `${pid}.${stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]}`;
  } catch {
    if (process.platform === 'linux') return '';
  }
  try {
    process.kill(pid, 0);
    return `${pid}.`;
  } catch {
    return '';
  }
}
