import { systemCall, systemError } from './libc.ts';

/** For paths that are not looked at from an open directory. Source: openat(2). */
const AT_FDCWD = -100;

/** Source: rename(2). */
const RENAME_EXCHANGE = 2;

/** What it fails with where the kernel or the file system does not know it. */
const UNKNOWN = ['ENOSYS', 'EINVAL', 'EPERM'];

let call: ReturnType<typeof systemCall> | null;

/**
 * Has two paths of one file system change places, in one step. False where there is no such call here. Throws the system's
 * error. Source: renameat2(2).
 */
export function exchangeNames(one: string, other: string): boolean {
  if (call === undefined) call = systemCall('renameat2', ['long', 'str', 'long', 'str', 'long']) ?? null;
  if (!call) return false;
  if (call(AT_FDCWD, one, AT_FDCWD, other, RENAME_EXCHANGE) === 0) return true;
  const error = systemError('renameat2', other);
  if (UNKNOWN.includes(error.code ?? '')) return false;
  throw error;
}
