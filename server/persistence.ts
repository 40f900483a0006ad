import { statfsSync } from 'node:fs';
import type { Settings } from '../etc/settings.ts';

/** File systems that are memory (statfs(2), `f_type`): tmpfs and ramfs. */
const inMemory = new Set([0x01021994, 0x858458f6]);

/** Whether what is stored is kept in a directory: `auto` keeps it where it reaches no disk and does not outlive a boot. */
export function keepsIn(directory: string, persist: Settings['persist']): boolean {
  if (persist === 'auto') return process.platform === 'linux' && inMemory.has(statfsSync(directory).type >>> 0);
  return persist === 'always';
}
