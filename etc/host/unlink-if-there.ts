/** In a file of its own: a server needs no more of what replaces or removes files, and loads no more. */

import { lstatSync, unlinkSync } from 'node:fs';

/**
 * Removes a name that is no directory's, if it is there; below what is no directory nothing is. `rmSync` does the same, and
 * loads for it what removes trees, 0.5 ms of a first request. Throws the system's error.
 */
export function unlinkIfThere(path: string): void {
  try {
    if (lstatSync(path, { throwIfNoEntry: false })) unlinkSync(path);
  } catch (error) {
    if (!['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}
