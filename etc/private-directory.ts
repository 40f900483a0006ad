import { lstatSync, realpathSync, type Stats, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CCAPIError } from '../proto/error.ts';

/**
 * Makes sure that only `uid` (and root) can have put anything into a directory, or can reach anything in it: it is a
 * directory and no link, it belongs to `uid`, its mode is 700, and nobody else can replace it or anything above it.
 * Throws 224 (`ccErrServerInsecure`) saying what is wrong with which path; a missing directory throws as `lstat` does.
 */
export function checkPrivateDirectory(path: string, uid: number): void {
  const found = lstatSync(path);
  const wrong = found.isSymbolicLink()
    ? 'is a symbolic link'
    : !found.isDirectory()
      ? 'is not a directory'
      : found.uid !== uid
        ? `belongs to uid ${found.uid} and not to uid ${uid}`
        : (found.mode & 0o777) !== 0o700
          ? `has mode ${octal(found)} and not 700`
          : undefined;
  if (wrong) throw new CCAPIError('ccErrServerInsecure', `${path} ${wrong}; it is not used`);
  checkUnreplaceable(dirname(path), uid);
}

/**
 * Makes sure that nobody but `uid` and root can replace a directory or any above it: each belongs to one of the two, and
 * is either closed to other writers or sticky. Throws 224 (`ccErrServerInsecure`).
 */
export function checkUnreplaceable(path: string, uid: number): void {
  for (let at = realpathSync(path); ; at = dirname(at)) {
    const found = statSync(at);
    if (found.uid !== 0 && found.uid !== uid) {
      throw new CCAPIError('ccErrServerInsecure', `${at} belongs to uid ${found.uid}, who can replace what is in it`);
    }
    if ((found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0) {
      throw new CCAPIError('ccErrServerInsecure', `${at} has mode ${octal(found)}: others can replace what is in it`);
    }
    if (at === '/') return;
  }
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(3, '0');
}
