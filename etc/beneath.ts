import { closeSync, constants, openSync, readFileSync } from 'node:fs';
import { asUser } from './identity.ts';

/** Opens no more than the name: what it leads to is not asked, so that a FUSE or network server cannot hold this up. */
const O_PATH = 0o10000000;

/**
 * Uses what a relative path leads to beneath a directory, as the user of that part of the way (see {@link asUser}); `use`
 * is given a path that leads to nothing else, and a descriptor (O_PATH) of it, both until it returns. No link beneath
 * `root` is followed, and no other file system entered; `root` itself is taken as it is. Throws the system's error:
 * ENOTDIR for a link on the way, EXDEV for a mount. Needs /proc. Source: open(2), O_PATH; proc_pid_fdinfo(5), mnt_id.
 */
export function useBeneath<T>(
  user: { uid: number; gid?: number },
  root: string,
  relative: string,
  use: (path: string, descriptor: number) => T,
): T {
  let at = openSync(root, O_PATH | constants.O_DIRECTORY);
  try {
    const mount = mountOf(at);
    for (const name of relative.split('/')) {
      const parent = at;
      at = asUser(user, () => openSync(`${pathOf(parent)}/${name}`, O_PATH | constants.O_NOFOLLOW));
      closeSync(parent);
      // The user's next step would already ask the file system that is mounted here.
      if (mountOf(at) !== mount)
        throw Object.assign(new Error(`EXDEV: a mount below ${root}: ${relative}`), { code: 'EXDEV' });
    }
    return asUser(user, () => use(pathOf(at), at));
  } finally {
    closeSync(at);
  }
}

function pathOf(descriptor: number): string {
  return `/proc/self/fd/${descriptor}`;
}

function mountOf(descriptor: number): string | undefined {
  return /^mnt_id:\s*(\d+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1'))?.[1];
}
