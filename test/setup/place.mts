import { spawnSync } from 'node:child_process';
import { accessSync, constants, mkdtempSync, realpathSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** A file system that is memory, as /run is. */
export const memory = '/dev/shm';

/** What the tests add to the path of temporary files; a socket's path has at most 107 bytes (unix(7)). */
const LONGEST_NAME = 60;

/** A line for each fault of the place that the tests run at, which says what to do; root's tests run programs as other users. */
export function faultsOfPlace(root: string): string[] {
  const faults = [...faultsOfTemporary(tmpdir())];
  if (process.platform === 'linux' && !isWritable(memory)) faults.push(`${memory}: not there: mount a tmpfs at it`);
  if (process.getuid?.() !== 0) return faults;
  for (const closed of closedToOthers([root, process.execPath]))
    faults.push(
      `${closed}: closed to other users: clone the repository, and install Node, at an open place such as /opt`,
    );
  const readable = join(root, 'package.json');
  if ((statSync(readable).mode & 0o004) === 0)
    faults.push(`${readable}: closed to other users: clone and install with umask 022`);
  return faults;
}

function* faultsOfTemporary(directory: string): Generator<string> {
  const instead = 'set TMPDIR to another directory, such as /var/tmp';
  if (!isWritable(directory)) return yield `${directory}: no directory for temporary files: ${instead}`;
  if (!runsPrograms(directory)) yield `${directory}: no program can be run there: ${instead}`;
  if (Buffer.byteLength(directory) > 107 - LONGEST_NAME) yield `${directory}: too long for sockets: ${instead}`;
  if (process.getuid?.() !== 0) return;
  for (const closed of closedToOthers([directory])) yield `${closed}: closed to other users: ${instead}`;
}

/** The directories of some paths that other users cannot pass, outermost first. */
export function closedToOthers(paths: readonly string[]): string[] {
  const closed = new Set<string>();
  for (const path of paths) {
    for (let at = realpathSync(path); at !== dirname(at); at = dirname(at)) {
      if ((statSync(at).mode & 0o001) === 0) closed.add(at);
    }
  }
  return [...closed].sort((a, b) => a.length - b.length);
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK | constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Whether it is not mounted with `noexec`. */
function runsPrograms(directory: string): boolean {
  const tried = mkdtempSync(join(directory, 'ccapi-test-'));
  try {
    const program = join(tried, 'program');
    writeFileSync(program, '#!/bin/sh\n', { mode: 0o700 });
    return spawnSync(program).status === 0;
  } finally {
    rmSync(tried, { recursive: true });
  }
}
