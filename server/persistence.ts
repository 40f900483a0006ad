import { statfsSync } from 'node:fs';
import type { Settings } from '../etc/config/settings.ts';
import { sharedFileSystem } from '../etc/host/shared-file-systems.ts';
import { ConfigError } from '../proto/errors.ts';

/** File systems that are memory (statfs(2), `f_type`): tmpfs and ramfs. */
const inMemory = new Set([0x01021994, 0x858458f6]);

/** Whether what is stored is kept in a directory: `auto` keeps it where it reaches no disk and does not outlive a boot. */
export function isPersistent(directory: string, persist: Settings['persist']): boolean {
  if (persist === 'auto') return process.platform === 'linux' && inMemory.has(statfsSync(directory).type >>> 0);
  return persist === 'always';
}

/**
 * Makes sure that a directory is this host's alone. The socket of another host's worker cannot be connected to, so its
 * worker would seem dead, and the two would write the same files. Throws 202 (`ccErrBadParam`).
 */
export function checkLocal(directory: string): void {
  const kind = process.platform === 'linux' ? sharedFileSystem(statfsSync(directory).type) : undefined;
  if (kind === undefined) return;
  throw new ConfigError(
    `${directory} is on ${kind}, which other hosts can have mounted: set directory or path_template in krb5.conf to a directory of this host, such as /run/ccapi`,
  );
}
