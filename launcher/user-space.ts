import { totalmem } from 'node:os';
import type { Settings } from '../etc/config/settings-table.ts';
import type { Identity } from '../etc/host/identity.ts';
import { libc, systemError } from '../etc/host/libc.ts';

/** How much a user's directory may hold: a tmpfs takes memory only for what is in it. */
export interface SpaceBounds {
  bytes: number;
  inodes: number;
}

/** The share of the memory that `user_space = auto` gives one user, and the least. */
const AUTO = { share: 1 / 32, least: 16 << 20 };

/** How many bytes of space come with each inode: the kernel keeps about 1 KiB for one, and counts it nowhere else. */
const BYTES_PER_INODE = 8192;
const FEWEST_INODES = 1024;

/** The bounds that the setting asks for; undefined where users' directories share the file system of the base. */
export function spaceBounds(userSpace: Settings['userSpace']): SpaceBounds | undefined {
  if (userSpace === 'no') return undefined;
  const bytes = userSpace === 'auto' ? Math.max(AUTO.least, Math.floor(totalmem() * AUTO.share)) : userSpace;
  return { bytes, inodes: Math.max(FEWEST_INODES, Math.floor(bytes / BYTES_PER_INODE)) };
}

const MS_NOSUID = 2;
const MS_NODEV = 4;
const MS_NOEXEC = 8;

/**
 * Mounts a tmpfs of mode 700 and the user's own over an empty directory of root's. Throws the system's error: EPERM
 * without CAP_SYS_ADMIN, as in most containers. Source: mount(2), tmpfs(5).
 */
export function mountUserSpace(path: string, { uid, gid }: Identity, { bytes, inodes }: SpaceBounds): void {
  const library = process.platform === 'linux' ? libc()?.library : undefined;
  if (!library) throw Object.assign(new Error('ENOSYS: mount'), { code: 'ENOSYS' });
  const mount = library.func('int mount(const char *, const char *, const char *, ulong, const char *)');
  const options = `mode=700,uid=${uid},gid=${gid},size=${bytes},nr_inodes=${inodes}`;
  if (mount('ccapi', path, 'tmpfs', MS_NOSUID | MS_NODEV | MS_NOEXEC, options) !== 0) throw systemError('mount', path);
}

const MNT_DETACH = 2;
const UMOUNT_NOFOLLOW = 8;

/** Takes such a file system away. Throws the system's error. Source: umount(2). */
export function unmount(path: string): void {
  const call = libc()?.library.func('int umount2(const char *, int)');
  if (call?.(path, MNT_DETACH | UMOUNT_NOFOLLOW) !== 0) throw systemError('umount2', path);
}
