/** What may be missing or closed to this user, and then says as little as an empty file or directory. Of root's places and /proc. */

import { closeSync, openSync, readdirSync, readSync } from 'node:fs';

/** One for all: for a file of unknown size, as those of /proc are, readFileSync makes a buffer of 64 kB each time. */
const chunk = Buffer.alloc(4096);

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
    const descriptor = openSync(path, 'r');
    try {
      return readToEnd(descriptor);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return '';
  }
}

function readToEnd(descriptor: number): string {
  let text = '';
  for (let count = chunk.length; count > 0; text += chunk.toString('latin1', 0, count)) {
    count = readSync(descriptor, chunk, 0, chunk.length, null);
  }
  return text;
}
