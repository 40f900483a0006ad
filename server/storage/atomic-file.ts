import {
  chmodSync,
  closeSync,
  constants,
  fdatasyncSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  lstatSync,
  openSync,
  readdirSync,
  renameSync,
  rmdirSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';

/** The name of the file that is being written, beside the one that it replaces. */
export const TEMPORARY = 'new';

/** The name of the file that was destroyed or replaced, until it is overwritten. */
export const TRASH = 'gone';

/** What files are overwritten with; one for all, since buffers that come and go leave a large heap behind. */
const zeros = Buffer.alloc(1 << 14);

/**
 * Writes all bytes at an offset, which becomes the end of the file before them. On an error the file ends there, and the
 * system's error is thrown. `sync` has the bytes on the medium before this returns.
 */
export function writeFully(descriptor: number, bytes: Buffer, at: number, sync: boolean): void {
  try {
    for (let written = 0; written < bytes.length; ) {
      written += writeSync(descriptor, bytes, written, bytes.length - written, at + written);
    }
    if (sync) fsyncSync(descriptor);
  } catch (error) {
    attempt(() => overwrite(descriptor, at));
    // Truncating needs no room, also where there was none to write.
    ftruncateSync(descriptor, at);
    throw error;
  }
}

/** A file that was written, open for reading and writing, and its length in bytes. */
interface WrittenFile {
  descriptor: number;
  size: number;
}

/**
 * Writes pieces to a new file, and has `giveName` rename it to the path that it is for. On an error it is left empty, and
 * the error is thrown.
 */
export function writeAndRename(
  path: string,
  pieces: Iterable<Buffer>,
  sync: boolean,
  giveName: () => void,
): WrittenFile {
  const descriptor = openNew(path);
  try {
    let size = 0;
    for (const bytes of pieces) {
      writeFully(descriptor, bytes, size, false);
      size += bytes.length;
    }
    if (sync) fsyncSync(descriptor);
    giveName();
    return { descriptor, size };
  } catch (error) {
    attempt(() => overwrite(descriptor));
    attempt(() => ftruncateSync(descriptor, 0));
    closeSync(descriptor);
    throw error;
  }
}

/**
 * Renames a file over another in the same directory, in one step, and overwrites the other's former contents. A link keeps
 * these reachable until then, so that {@link shred} overwrites them after a crash in between. Only the step itself throws.
 */
export function renameInto(from: string, to: string, sync: boolean): void {
  if (!lstatSync(to, { throwIfNoEntry: false })) {
    rename(from, to, sync);
    return;
  }
  const trash = trashBeside(to);
  const isLinked = attempt(() => linkSync(to, trash) ?? true);
  // Some file systems have no hard links; there a descriptor leads to the former contents.
  const former = isLinked ? undefined : attempt(() => openSync(to, constants.O_RDWR | constants.O_NOFOLLOW));
  try {
    rename(from, to, sync);
    if (former !== undefined) attempt(() => overwrite(former));
  } finally {
    if (former !== undefined) closeSync(former);
    if (isLinked) attempt(() => shred(trash));
  }
}

/** Replaces a file that holds nothing secret by one of these bytes, in one step. */
export function replaceFile(path: string, bytes: Buffer, sync: boolean): void {
  const temporary = `${dirname(path)}/${TEMPORARY}`;
  closeSync(writeAndRename(temporary, [bytes], sync, () => rename(temporary, path, sync)).descriptor);
}

/** Removes a file in one step, and then overwrites it. Only the first step throws. */
export function destroyFile(path: string, sync: boolean): void {
  const trash = trashBeside(path);
  rename(path, trash, sync);
  // The next worker tries again.
  attempt(() => shred(trash));
}

/** Overwrites a file and unlinks it; a file that has a further name is only unlinked. Throws the system's error. */
export function shred(path: string): void {
  const found = lstatSync(path);
  if (found.isFile() && found.nlink === 1) {
    if ((found.mode & 0o600) !== 0o600) chmodSync(path, 0o600);
    const descriptor = openSync(path, constants.O_RDWR | constants.O_NOFOLLOW);
    try {
      overwrite(descriptor);
    } finally {
      closeSync(descriptor);
    }
  }
  unlinkSync(path);
}

/** Overwrites and removes what is in a directory, and the directory; or a file. Nothing there is no error. Throws the system's. */
export function shredTree(path: string): void {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isDirectory()) {
    // A file of another user, which can only be unlinked, has no ticket of this one.
    if (found.uid === process.geteuid?.()) attempt(() => shred(path));
    // What cannot be overwritten, as a file with holes on a full disk, goes all the same.
    if (lstatSync(path, { throwIfNoEntry: false })) unlinkSync(path);
    return;
  }
  if ((found.mode & 0o700) !== 0o700) chmodSync(path, 0o700);
  for (const name of readdirSync(path)) shredTree(`${path}/${name}`);
  rmdirSync(path);
}

/**
 * Overwrites a file from an offset on, and returns once the zeros are on the medium: otherwise they never get there where
 * the file is unlinked next. In memory it costs nothing.
 */
export function overwrite(descriptor: number, from = 0): void {
  const { size } = fstatSync(descriptor);
  for (let at = from; at < size; ) at += writeSync(descriptor, zeros, 0, Math.min(zeros.length, size - at), at);
  fdatasyncSync(descriptor);
}

/** Has the names in a directory on the medium. */
export function syncDirectory(path: string): void {
  const descriptor = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}

/** Opens a file that was not there: whatever is in its place, such as a link, is removed and not written to. */
function openNew(path: string): number {
  try {
    return openSync(path, 'wx+', 0o600);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    unlinkSync(path);
    return openSync(path, 'wx+', 0o600);
  }
}

/** Where a file goes that is to be overwritten. What could not be overwritten there before is now, or goes. */
function trashBeside(path: string): string {
  const trash = `${dirname(path)}/${TRASH}`;
  if (lstatSync(trash, { throwIfNoEntry: false })) attempt(() => shred(trash));
  return trash;
}

/**
 * Renames a file within its directory. What can fail for want of something fails before; a medium that does not take the
 * name afterwards cannot undo it, and fails the next write.
 */
function rename(from: string, to: string, sync: boolean): void {
  const directory = sync ? openSync(dirname(to), constants.O_RDONLY | constants.O_DIRECTORY) : undefined;
  try {
    renameSync(from, to);
    if (directory !== undefined) attempt(() => fsyncSync(directory));
  } finally {
    if (directory !== undefined) closeSync(directory);
  }
}

/** What a call returns; undefined where it fails. */
export function attempt<T>(call: () => T): T | undefined {
  try {
    return call();
  } catch {
    return undefined;
  }
}
