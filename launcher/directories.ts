import { randomBytes } from 'node:crypto';
import {
  accessSync,
  chmodSync,
  constants,
  fstatSync,
  lchownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmdirSync,
  type Stats,
  statSync,
} from 'node:fs';
import { basename, dirname } from 'node:path';
import { baseDirectory } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings-table.ts';
import { useBeneath } from '../etc/host/beneath.ts';
import type { Identity } from '../etc/host/identity.ts';
import type { Log } from '../etc/host/log.ts';
import { checkUnreplaceable } from '../etc/host/private-directory.ts';
import { CCAPIError, ConfigError, InsecurePathError } from '../proto/errors.ts';
import { RendezvousError } from '../proto/rendezvous.ts';
import type { UserDirectory } from './user-directory.ts';
import { mountUserSpace, type SpaceBounds } from './user-space.ts';

/**
 * Makes the base directory where it is missing, and makes sure that only the launcher's own uid can put anything into it:
 * what stands below it was then made by a launcher, and no link in it was planted.
 */
export function prepareBaseDirectory(base: string, launcherUid: number): void {
  refuseAsInsecure(base, () => {
    makeDirectory(base, launcherUid === 0 ? 0o755 : 0o700);
    const stats = lstatSync(base);
    if (stats.uid !== launcherUid || (stats.mode & 0o022) !== 0) {
      throw new InsecurePathError(
        `${base} must belong to uid ${launcherUid} and be closed to other writers; it has uid ${stats.uid}, mode ${octal(stats)}`,
      );
    }
    checkUnreplaceable(base, launcherUid);
  });
}

/**
 * Makes a user's directory, mode 700 and the user's own, or finds it so. Anything else that stands in its place is left
 * alone and refused. With bounds a new one below root's own base is a file system of that size; where none can be mounted,
 * the error is returned and the directory is made without. Where others than root can put things beside it, as in a home, it is made with the user's rights.
 */
export function prepareUserDirectory(
  place: UserDirectory,
  owner: Identity,
  launcherUid: number,
  bounds?: SpaceBounds,
): Error | undefined {
  return refuseAsInsecure(place.path, () => {
    if (launcherUid !== 0 || owner.uid === 0) {
      makeDirectory(place.path, 0o700);
      checkOwn(place.path, lstatSync(place.path), owner.uid);
    } else if (isRootsPlace(place)) return makeForUser(place, owner, place.kind === 'base' ? bounds : undefined);
    else makeAsUser(place, owner);
    return undefined;
  });
}

/** Whether only root can put anything beside a user's directory, or replace anything on the way to it. */
export function isRootsPlace({ root, relative, kind }: UserDirectory): boolean {
  // What is in a home is the user's, and so may be a file system that never answers.
  if (kind === 'home' || relative.includes('/')) return false;
  for (let at = root; at !== '/'; at = dirname(at)) {
    const found = lstatSync(at);
    const isOpen = (found.mode & 0o022) !== 0 && (found.mode & 0o1000) === 0 && !found.isSymbolicLink();
    if (found.uid !== 0 || isOpen) return false;
  }
  // In a sticky directory others cannot replace what is there, and can be there first.
  if ((statSync(root).mode & 0o022) !== 0) return false;
  try {
    checkUnreplaceable(root, 0);
    return true;
  } catch (error) {
    if (error instanceof CCAPIError) return false;
    throw error;
  }
}

function makeForUser(place: UserDirectory, owner: Identity, bounds: SpaceBounds | undefined): Error | undefined {
  const failed = bounds && makeSpace(place, owner, bounds);
  makeNamed(place, owner);
  return failed;
}

/**
 * Makes a directory that stays root's own and mounts the user's file system over it, so that the user never reaches the
 * one of the base. One that is the user's by now stays: a worker may be in it. Needs the start lock.
 */
function makeSpace(place: UserDirectory, owner: Identity, bounds: SpaceBounds): Error | undefined {
  const { path } = place;
  const before = found(place);
  if (before && before.uid !== 0) return undefined;
  // A launcher that was killed between the two steps leaves an empty one.
  if (before) rmdirSync(path);
  mkdirSync(path, { mode: 0o700 });
  try {
    mountUserSpace(path, owner, bounds);
    return undefined;
  } catch (error) {
    rmdirSync(path);
    return error as Error;
  }
}

/**
 * Gives a new directory to its user before it gets its name: one that was there before, which may be root's own, is never
 * given away, and a launcher that is killed in between leaves none of that name.
 */
function makeNamed(place: UserDirectory, { uid, gid }: Identity): void {
  const { root, relative, path } = place;
  if (!found(place)) {
    const unnamed = `${root}/.${relative}.${randomBytes(6).toString('hex')}`;
    mkdirSync(unnamed, { mode: 0o700 });
    try {
      lchownSync(unnamed, uid, gid);
      // Where another launcher was faster, its directory is empty yet and makes room, or is used and stays.
      renameSync(unnamed, path);
    } catch (error) {
      rmdirSync(unnamed);
      if ((error as NodeJS.ErrnoException).code !== 'ENOTEMPTY') throw error;
    }
  }
  checkOwn(path, found(place), uid);
}

/** Whether a user has a directory, or something of another stands in its place; what is root's is left of making one. */
export function isMade(place: UserDirectory): boolean {
  return (found(place)?.uid ?? 0) !== 0;
}

/** What is there, without a question to the file system that a user may have mounted there. */
function found(place: UserDirectory): Stats | undefined {
  try {
    return useBeneath({ ...place.way(), user: { uid: 0 } }, (_, descriptor) => fstatSync(descriptor));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

function makeAsUser(place: UserDirectory, { uid, gid }: Identity): void {
  const { relative, path } = place;
  const make = (at: string) => makeDirectory(`${at}/${basename(relative)}`, 0o700);
  useBeneath(place.way(dirname(relative), gid), make);
  useBeneath(place.way(relative, gid), (_, descriptor) => checkOwn(path, fstatSync(descriptor), uid));
}

function checkOwn(path: string, stats: Stats | undefined, uid: number): void {
  if (stats?.isDirectory() && (stats.mode & 0o777) === 0o700 && stats.uid === uid) return;
  throw new InsecurePathError(
    `${path} is not a directory of mode 700 of uid ${uid}; remove it, so that it can be made`,
  );
}

/** Makes a directory, unless something of that name is there. */
function makeDirectory(path: string, mode: number): void {
  try {
    mkdirSync(path, { mode });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
  }
}

/** What the kernel answers where a link stands in the way, or another file system is mounted there. */
const planted: Record<string, string> = {
  ENOTDIR: 'leads over a link or a file',
  EXDEV: 'leads over a mount',
  ENOTEMPTY: 'is a directory of root and holds something: remove it',
  EREMOTE:
    'is on a file system that a network or a process serves, which may not answer and which other hosts may share',
};

function refuseAsInsecure<T>(path: string, prepare: () => T): T {
  try {
    return prepare();
  } catch (error) {
    if (error instanceof CCAPIError) throw new RendezvousError('insecure', error.message, { cause: error });
    const { code = '' } = error as NodeJS.ErrnoException;
    const reason = planted[code];
    if (reason) throw new RendezvousError('insecure', `${path} ${reason}; it is not used`, { cause: error });
    throw new RendezvousError('internal', `${path} cannot be made: ${code || (error as Error).message}`, {
      cause: error,
    });
  }
}

function octal({ mode }: Stats): string {
  return (mode & 0o7777).toString(8);
}

/** Where the users' directories are made. */
export interface BaseDirectory {
  path: string;
  /** Only this process knows where it is, so it has to stay while a worker runs there. */
  isHeld: boolean;
}

/**
 * Where no directory is configured and root cannot write to /run, it is one of a random name in /tmp, as in the
 * proposal of 2007. A launcher that is there for one connection (`stays` is false) cannot remember it: 202 then.
 */
export function chooseBaseDirectory(settings: Settings, launcherUid: number, stays: boolean, log: Log): BaseDirectory {
  const path = baseDirectory(settings, launcherUid, process.env);
  const isSaid = settings.directory !== undefined || settings.pathTemplate !== undefined;
  if (isSaid || launcherUid !== 0 || isWritable(dirname(path))) return { path, isHeld: false };
  if (!stays) {
    throw new ConfigError(`${path} cannot be made; set directory in krb5.conf, or use inetd's "wait"`);
  }
  const random = mkdtempSync('/tmp/ccapi-');
  chmodSync(random, 0o755);
  log.warning(`${path} cannot be made; the users' directories are in ${random} while any of them is in use`);
  return { path: random, isHeld: true };
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
