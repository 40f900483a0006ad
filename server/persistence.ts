import { statfsSync } from 'node:fs';
import type { Settings } from '../etc/settings.ts';
import { CCAPIError } from '../proto/error.ts';

/** File systems that are memory (statfs(2), `f_type`): tmpfs and ramfs. */
const inMemory = new Set([0x01021994, 0x858458f6]);

/** Whether what is stored is kept in a directory: `auto` keeps it where it reaches no disk and does not outlive a boot. */
export function keepsIn(directory: string, persist: Settings['persist']): boolean {
  if (persist === 'auto') return process.platform === 'linux' && inMemory.has(statfsSync(directory).type >>> 0);
  return persist === 'always';
}

/**
 * File systems that several hosts can have mounted (statfs(2), `f_type`; linux/magic.h and each one's own header). 9p is
 * left out, since it is how virtual machines see their host's disk, and FUSE, since it does not tell what is behind it.
 */
const shared: ReadonlyMap<number, string> = new Map([
  [0x6969, 'NFS'],
  [0x517b, 'SMB'],
  [0xff534d42, 'CIFS'],
  [0xfe534d42, 'SMB2'],
  [0x5346414f, 'AFS'],
  [0x6b414653, 'AFS'],
  [0x73757245, 'Coda'],
  [0x00c36400, 'Ceph'],
  [0x0bd00bd0, 'Lustre'],
  [0x01161970, 'GFS2'],
  [0x7461636f, 'OCFS2'],
  [0x47504653, 'GPFS'],
  [0x19830326, 'BeeGFS'],
  [0x20030528, 'OrangeFS'],
]);

/** The name of a file system that several hosts can have mounted, by its `f_type`; undefined for any other. */
export function sharedFileSystem(type: number): string | undefined {
  return shared.get(type >>> 0);
}

/**
 * Makes sure that a directory is this host's alone. The socket of another host's worker cannot be connected to, so its
 * worker would seem dead, and the two would write the same files. Throws 202 (`ccErrBadParam`).
 */
export function checkLocal(directory: string): void {
  const kind = process.platform === 'linux' ? sharedFileSystem(statfsSync(directory).type) : undefined;
  if (kind === undefined) return;
  throw new CCAPIError(
    'ccErrBadParam',
    `${directory} is on ${kind}, which other hosts can have mounted: set directory or path_template in krb5.conf to a directory of this host, such as /run/ccapi`,
  );
}
