import { mkdirSync, rmdirSync, statSync } from 'node:fs';

/**
 * Keeps a storm of launchers from starting a storm of workers: a directory that one of them can make. Returns how to give
 * it back; undefined while another has it. What a launcher left that was killed is taken over after `stale` milliseconds.
 * Workers decide among themselves anyhow which of them serves, so that it does no harm where two come to think that it is
 * theirs. It works synchronously, as all of the launcher's file calls do.
 */
export function takeStartLock(path: string, stale: number): (() => void) | undefined {
  for (let attempt = 0; attempt < 2; attempt++) {
    try {
      mkdirSync(path, { mode: 0o700 });
      return () => release(path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      if (Date.now() - (statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0) < stale) return undefined;
      release(path);
    }
  }
  return undefined;
}

function release(path: string): void {
  try {
    rmdirSync(path);
  } catch {
    // Somebody took it over who thought us dead.
  }
}
