import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { asUser } from './identity.ts';
import { monotonic } from './monotonic.ts';
import { mayHang } from './shared-file-systems.ts';

/** Opens no more than the name: what it leads to is not asked, so that a FUSE or network server cannot hold this up. */
const O_PATH = 0o10000000;

/** A way to a file, and the user with the rights of which it is gone. */
export interface Way {
  user: { uid: number; gid?: number };
  /** A directory that an admin has chosen. */
  root: string;
  /** The names beneath it, with `/` between them; `.` for none. */
  relative: string;
  /**
   * Which mounts the way may lead into: beneath `root`, which itself is taken as it is, those of a `tmpfs` alone, which
   * only root can mount; or `local` ones, from `/` on, where no link is followed and none of a network or of a user's
   * process entered, at any moment.
   */
  mounts: 'tmpfs' | 'local';
}

/**
 * Uses what a way leads to; `use` is given a path that leads to nothing else, a descriptor (O_PATH) of it, and one of the
 * directory that it is in, all until it returns, and runs as the user. No link beneath the root is followed. Throws the
 * system's error: ENOTDIR for a link on the way, EXDEV for a mount that it may not lead into, EREMOTE for one of a network or
 * of a user's process. Needs /proc.
 * Source: open(2), O_PATH; proc_pid_fdinfo(5), mnt_id; proc_pid_mountinfo(5).
 */
export function useBeneath<T>(way: Way, use: (path: string, descriptor: number, parent: number) => T): T {
  const { user, root, relative, mounts } = way;
  const checkMount = mounts === 'local' ? localMounts() : rootsMounts(root, user.uid);
  let at = openSync(mounts === 'local' ? '/' : root, O_PATH | constants.O_DIRECTORY);
  let parent: number | undefined;
  const step = (name: string) => {
    const next = openSync(`${pathOf(at)}/${name}`, O_PATH | constants.O_NOFOLLOW);
    if (parent !== undefined) closeSync(parent);
    [parent, at] = [at, next];
  };
  try {
    checkMount(at);
    // The next step would already ask the file system that is mounted here.
    for (const name of mounts === 'local' ? root.split('/').filter(Boolean) : []) {
      step(name);
      checkMount(at);
    }
    for (const name of relative === '.' ? [] : relative.split('/')) {
      asUser(user, () => step(name));
      checkMount(at);
    }
    return asUser(user, () => use(pathOf(at), at, parent ?? at));
  } finally {
    for (const descriptor of [parent, at]) if (descriptor !== undefined) closeSync(descriptor);
  }
}

function rootsMounts(root: string, uid: number): (descriptor: number) => void {
  let last: string | undefined;
  return (descriptor) => {
    const mount = mountOf(descriptor);
    last ??= mount;
    if (mount !== last && !isTmpfs(descriptor, mount ?? '', uid)) throw failure('EXDEV', `a mount below ${root}`);
    last = mount;
  };
}

/** Mounts of a tmpfs, by their id, each with a descriptor that keeps the id from becoming another's. */
const knownTmpfs = new Map<string, number>();

/** When the list of mounts was read in vain for a uid, at this time of `performance`. */
const readInVain = new Map<number, number>();
const MOST_IN_VAIN = 1000;

/** How long it is not read again for that uid, in milliseconds: a user can make it long, and change it all the time. */
const IN_VAIN = 1000;

function isTmpfs(descriptor: number, mount: string, uid: number): boolean {
  if (knownTmpfs.has(mount)) return true;
  const now = monotonic();
  if (now - (readInVain.get(uid) ?? Number.NEGATIVE_INFINITY) < IN_VAIN) return false;
  if (readMountTypes().get(mount) === 'tmpfs') {
    knownTmpfs.set(mount, openSync(pathOf(descriptor), O_PATH));
    return true;
  }
  if (readInVain.size >= MOST_IN_VAIN) readInVain.clear();
  readInVain.set(uid, now);
  return false;
}

function localMounts(): (descriptor: number) => void {
  const types = readMountTypes();
  return (descriptor) => {
    const type = types.get(mountOf(descriptor) ?? '');
    // One that is not in the list was made a moment ago.
    if (type === undefined || mayHang(type)) throw failure('EREMOTE', `a file system of type ${type ?? 'unknown'}`);
  };
}

/** The type of each mount, by its id. */
function readMountTypes(): Map<string, string> {
  return new Map(
    readFileSync('/proc/self/mountinfo', 'latin1')
      .split('\n')
      .map((line) => [line.slice(0, line.indexOf(' ')), line.split(' - ')[1]?.split(' ')[0] ?? '']),
  );
}

function failure(code: string, what: string): Error {
  return Object.assign(new Error(`${code}: ${what}`), { code });
}

/** A path that leads to what a descriptor is of, and to nothing else. */
export function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

function mountOf(descriptor: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
}
