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
  return beginningOf(path, Infinity);
}

/** The text of the first `most` bytes of a file, alike. */
export function beginningOf(path: string, most: number): string {
  try {
    const descriptor = openSync(path, 'r');
    try {
      return readText(descriptor, most);
    } finally {
      closeSync(descriptor);
    }
  } catch {
    return '';
  }
}

function readText(descriptor: number, most: number): string {
  let text = '';
  for (let count = chunk.length; count > 0; text += chunk.toString('latin1', 0, count)) {
    count = readSync(descriptor, chunk, 0, Math.min(chunk.length, most - text.length), null);
  }
  return text;
}
