import {
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  openSync,
  renameSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/**
 * Writes all of it at a place, behind which the file is to end; or nothing, and throws why. `sync` has it reach the disk
 * before this returns.
 */
export function writeWhole(descriptor: number, bytes: Buffer, at: number, sync: boolean): void {
  try {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(descriptor, bytes, written, bytes.length - written, at + written);
    }
    if (sync) fsyncSync(descriptor);
  } catch (error) {
    // Taking away needs no room, also where there was none to add.
    ftruncateSync(descriptor, at);
    throw error;
  }
}

/** Has a file take the place of another in the same directory; `sync` has that reach the disk. */
export function putInPlace(unfinished: string, path: string, sync: boolean): void {
  renameSync(unfinished, path);
  if (sync) syncDirectory(dirname(path));
}

/** Has the names in a directory reach the disk. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Overwrites a file and takes it away. Throws the system's error, as where there is none. */
export function overwriteAndRemove(path: string): void {
  const descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  try {
    overwrite(descriptor);
  } finally {
    closeSync(descriptor);
  }
  unlinkSync(path);
}

/**
 * Overwrites a file from a place on, and returns once the zeros are on the medium: without that they never come there
 * where the file is removed next. In memory it costs nothing.
 */
export function overwrite(descriptor: number, from = 0): void {
  const { size } = fstatSync(descriptor);
  const zeros = Buffer.alloc(Math.min(Math.max(size - from, 0), 1 << 20));
  for (let at = from; at < size; ) at += writeSync(descriptor, zeros, 0, Math.min(zeros.length, size - at), at);
  fdatasyncSync(descriptor);
}

/** Opens the file that another is about to take the place of, for {@link overwriteAndClose}; undefined where it cannot. */
export function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
  } catch {
    return undefined;
  }
}

/** Overwrites a file that has no name any more. Where that fails there is nothing else to be done about it. */
export function overwriteAndClose(descriptor: number): void {
  try {
    overwrite(descriptor);
  } catch {
    // The system frees its blocks as they are.
  }
  closeSync(descriptor);
}
