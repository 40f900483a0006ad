import { readFileSync, readlinkSync, rmdirSync, symlinkSync, unlinkSync } from 'node:fs';
import { lockSync } from 'proper-lockfile';

/** Older than any time: a lock that looks like this is taken over at once. */
const STALE = new Date(0);

/** A day, in milliseconds. No lock is held for as long; that of a process that lives is never stale. */
const LONG = 86_400_000;

/**
 * A lock that one process of this machine can have. Returns how to give it back; undefined while a process that lives has
 * it. Two processes that find the lock of a dead one at the same moment may both come to think that it is theirs.
 */
export function acquireProcessLock(path: string): (() => void) | undefined {
  const fs = new LockLinks();
  try {
    const release = lockSync(path, { lockfilePath: path, realpath: false, fs, stale: LONG, onCompromised: () => {} });
    fs.isHeld = true;
    return release;
  } catch (error) {
    const { code = '' } = error as NodeJS.ErrnoException;
    if (['ELOCKED', 'EEXIST', 'ENOTEMPTY'].includes(code)) return undefined;
    throw error;
  }
}

/**
 * What proper-lockfile is given as its file system. Its own lock is a directory, and one that was not touched for some
 * seconds is stale. This one is a link that leads nowhere and names its process, from the moment on that it is there: it
 * is stale once that process has ended, and not before.
 */
class LockLinks {
  isHeld = false;
  readonly #own = processName(process.pid);
  #touched = new Date();

  mkdirSync(path: string): void {
    symlinkSync(this.#own, path);
  }

  statSync(path: string): { mtime: Date } {
    const holder = holderOf(path);
    if (holder === this.#own) return { mtime: this.#touched };
    return { mtime: isAlive(holder) ? new Date() : STALE };
  }

  utimesSync(_path: string, _atime: Date, mtime: Date): void {
    this.#touched = mtime;
  }

  /** Takes the own lock away, or that of a process that has ended. */
  rmdirSync(path: string): void {
    const holder = holderOf(path);
    if (this.isHeld ? holder === this.#own : !isAlive(holder)) remove(path);
  }
}

function holderOf(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    // It is gone, or it is the directory that an earlier version had as its lock.
    return undefined;
  }
}

function remove(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
    // An earlier version had an empty directory as its lock.
    rmdirSync(path);
  }
}

function isAlive(holder: string | undefined): boolean {
  return holder !== undefined && holder === processName(Number(holder.split('.')[0]));
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
