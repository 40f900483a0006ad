/** What may be missing or closed to this user, and then says as little as an empty file or directory. Of root's places and /proc. */

import { readdirSync, readFileSync } from 'node:fs';

/** The names in a directory. */
export function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}

/** The text of a file, its bytes as latin1. */
export function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1');
  } catch {
    return '';
  }
}
