import {
  closeSync,
  fchmodSync,
  fchownSync,
  fsyncSync,
  lstatSync,
  openSync,
  realpathSync,
  renameSync,
  type Stats,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { checkUnreplaceable } from './private-directory.ts';
import { unlinkIfThere } from './unlink-if-there.ts';

/** What the name of a file ends in that is being written. No program that reads a directory of settings takes such a file. */
const UNFINISHED = '.ccapi-new';

/**
 * Has a file the bytes of `text` (latin1) and, where there was one, its mode and owner; a link to it stays. At every moment the path leads to
 * the former file or to the new one, whole and on the medium. Throws 224
 * (`ccErrServerInsecure`) where others than the caller and root can put things on the way there.
 */
export function replaceFile(path: string, text: string, mode = 0o644): void {
  const target = resolveLink(path);
  checkUnreplaceable(dirname(target), process.geteuid?.() as number);
  const former = lstatSync(target, { throwIfNoEntry: false });
  const unfinished = `${target}${UNFINISHED}`;
  unlinkIfThere(unfinished);
  const descriptor = openSync(unfinished, 'wx', 0o600);
  try {
    writeAll(descriptor, Buffer.from(text, 'latin1'));
    copyRights(descriptor, former, mode);
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
  renameSync(unfinished, target);
  syncDirectory(dirname(target));
}

/** Removes a file; none is there afterwards. */
export function removeFile(path: string): void {
  unlinkIfThere(path);
  syncDirectory(dirname(path));
}

/** The path of what a caller that was killed has left beside a file; undefined where nothing is. */
export function findUnfinished(path: string): string | undefined {
  const unfinished = `${resolveLink(path)}${UNFINISHED}`;
  return lstatSync(unfinished, { throwIfNoEntry: false }) && unfinished;
}

function resolveLink(path: string): string {
  try {
    return realpathSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return path;
  }
}

function writeAll(descriptor: number, bytes: Buffer): void {
  for (let written = 0; written < bytes.length; ) written += writeSync(descriptor, bytes, written);
}

function copyRights(descriptor: number, former: Stats | undefined, mode: number): void {
  if (former && process.geteuid?.() === 0) fchownSync(descriptor, former.uid, former.gid);
  fchmodSync(descriptor, former ? former.mode & 0o7777 : mode);
}

function syncDirectory(path: string): void {
  const descriptor = openSync(path, 'r');
  try {
    fsyncSync(descriptor);
  } finally {
    closeSync(descriptor);
  }
}
