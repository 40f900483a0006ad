/** In a file of its own: a server needs no more of what replaces or removes files, and loads no more. */

import { lstatSync, unlinkSync } from 'node:fs';

/**
 * Removes a name that is no directory's, if it is there. `rmSync` does the same, and loads for it what removes trees, 0.5 ms
 * of a first request. Throws the system's error.
 */
export function unlinkIfThere(path: string): void {
  if (!lstatSync(path, { throwIfNoEntry: false })) return;
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
