import { lchownSync, lstatSync, mkdirSync, type Stats } from 'node:fs';
import { dirname } from 'node:path';
import { checkUnreplaceable } from '../etc/private-directory.ts';
import { withRightsOf } from '../etc/rights.ts';
import { CCAPIError } from '../proto/error.ts';
import { RendezvousError } from '../proto/rendezvous.ts';

/** Who a directory is made for. */
interface Owner {
  uid: number;
  gid: number;
}

/**
 * Makes the base directory where it is missing, and makes sure that nobody but the launcher's own uid can put anything
 * into it: whatever stands below it was then made by a launcher, and no link in it was planted.
 */
export function prepareBaseDirectory(base: string, launcherUid: number): void {
  refusingAsInsecure(base, () => {
    const made = makeDirectory(base, launcherUid === 0 ? 0o755 : 0o700);
    const found = lstatSync(base);
    if (!made && (found.uid !== launcherUid || (found.mode & 0o022) !== 0)) {
      throw new CCAPIError(
        'ccErrServerInsecure',
        `${base} must belong to uid ${launcherUid} and be closed to other writers; it has uid ${found.uid}, mode ${octal(found)}`,
      );
    }
    checkUnreplaceable(made || found.isDirectory() ? base : dirname(base), launcherUid);
  });
}

/**
 * Makes a user's directory, mode 700 and the user's own, or finds it so. Anything else that stands in its place is left
 * alone and refused. Where others than root can put things beside it, as in a home, root has no more rights there than
 * the user.
 */
export function prepareUserDirectory(path: string, owner: Owner, launcherUid: number): void {
  refusingAsInsecure(path, () => {
    if (launcherUid === 0 && !isRootsPlace(path)) withRightsOf(owner, () => makeOwn(path, owner, owner.uid));
    else makeOwn(path, owner, launcherUid);
  });
}

/**
 * Whether nobody but root can put anything beside a path or replace anything on the way to it, a link that somebody else
 * has planted included.
 */
export function isRootsPlace(path: string): boolean {
  const parent = dirname(path);
  for (let at = parent; at !== '/'; at = dirname(at)) {
    const found = lstatSync(at);
    const isOpen = (found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0 && !found.isSymbolicLink();
    if (found.uid !== 0 || isOpen) return false;
  }
  try {
    checkUnreplaceable(parent, 0);
    return true;
  } catch (error) {
    if (error instanceof CCAPIError) return false;
    throw error;
  }
}

function makeOwn(path: string, owner: Owner, as: number): void {
  makeDirectory(path, 0o700);
  const found = lstatSync(path);
  const wellMade = found.isDirectory() && (found.mode & 0o7777) === 0o700;
  // A launcher that was interrupted here has left it as its own; only a launcher can have.
  if (wellMade && found.uid === as && as !== owner.uid) lchownSync(path, owner.uid, owner.gid);
  else if (!wellMade || found.uid !== owner.uid) {
    throw new CCAPIError(
      'ccErrServerInsecure',
      `${path} is not a directory of mode 700 of uid ${owner.uid}; remove it, so that it can be made`,
    );
  }
}

/** Makes a directory; false if something of that name is there. */
function makeDirectory(path: string, mode: number): boolean {
  try {
    mkdirSync(path, { mode });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw error;
  }
}

function refusingAsInsecure(path: string, prepare: () => void): void {
  try {
    prepare();
  } catch (error) {
    if (error instanceof CCAPIError) throw new RendezvousError('insecure', error.message, { cause: error });
    const { code } = error as NodeJS.ErrnoException;
    throw new RendezvousError('internal', `${path} cannot be made ready: ${code}`, { cause: error });
  }
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8);
}
