import { lstatSync, realpathSync, type Stats } from 'node:fs';
import { dirname, parse, sep } from 'node:path';
import { type CCAPIError, InsecurePathError } from '../../proto/errors.ts';

/**
 * Checks that only `uid` and root can have put anything into a directory or can reach anything in it: it is a directory and
 * no link, it belongs to `uid`, its mode is 700, and no other user can replace it or a directory above it.
 *
 * Returns the path without links that was checked. Callers must use that path and not the given one: a link on the given
 * one may lead elsewhere a moment later. Throws 224 (`ccErrServerInsecure`) naming the path and the reason; a missing
 * directory throws as `lstat` does.
 */
export function checkPrivateDirectory(path: string, uid: number): string {
  if (lstatSync(path).isSymbolicLink()) throw insecure(`${path} is a symbolic link; it is not used`);
  const resolved = checkPath(realpathSync(path), uid);
  const found = lstatSync(resolved);
  const wrong = !found.isDirectory()
    ? 'is not a directory'
    : found.uid !== uid
      ? `belongs to uid ${found.uid} and not to uid ${uid}`
      : (found.mode & 0o777) !== 0o700
        ? `has mode ${octal(found)} and not 700`
        : undefined;
  if (wrong) throw insecure(`${resolved} ${wrong}; it is not used`);
  return resolved;
}

/**
 * Checks that only `uid` and root can replace a directory or a directory above it: each belongs to one of the two, and is
 * either closed to other writers or sticky. Returns the path without links that was checked, to be used in place of the
 * given one. Throws 224 (`ccErrServerInsecure`).
 */
export function checkUnreplaceable(path: string, uid: number): string {
  const resolved = realpathSync(path);
  checkPath(resolved, uid);
  checkDirectory(resolved, uid);
  return resolved;
}

/**
 * Checks the directories above a resolved path, and that the path itself is no link. From the root down: once a directory
 * is known to be closed to other users, the entry looked at next cannot be exchanged after it was looked at.
 */
function checkPath(resolved: string, uid: number): string {
  const { root } = parse(resolved);
  let at = root;
  for (const name of resolved.slice(root.length).split(sep)) {
    if (name === '') break;
    checkDirectory(at, uid);
    at = at === root ? `${root}${name}` : `${at}${sep}${name}`;
    if (lstatSync(at).isSymbolicLink()) throw insecure(`${at} became a symbolic link while it was checked`);
  }
  return resolved;
}

function checkDirectory(path: string, uid: number): void {
  const found = lstatSync(path);
  if (found.uid !== 0 && found.uid !== uid) {
    throw insecure(`${path} belongs to uid ${found.uid}, who can replace what is in it`);
  }
  // A link that has just taken the directory's place has mode 777, and is refused here.
  if ((found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0) {
    throw insecure(`${path} has mode ${octal(found)}: others can replace what is in it`);
  }
}

/** Checks the directory above a file or socket that the settings name. Returns the path of the file without links. */
export function checkUnreplaceableFile(path: string, uid: number): string {
  const resolved = realpathSync(path);
  checkUnreplaceable(dirname(resolved), uid);
  if (lstatSync(resolved).isSymbolicLink()) throw insecure(`${resolved} became a symbolic link while it was checked`);
  return resolved;
}

function insecure(message: string): CCAPIError {
  return new InsecurePathError(message);
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8).padStart(3, '0');
}
