import { readFileSync } from 'node:fs';

/**
 * Bytes of memory that this process shares with no other; undefined where the kernel does not tell. Resident memory counts
 * the pages of Node's own file too, which all of its processes share. Source: proc_pid_smaps(5), smaps_rollup.
 */
export function privateMemory(): number | undefined {
  try {
    const sizes = readFileSync('/proc/self/smaps_rollup', 'latin1').matchAll(/^Private_(?:Clean|Dirty): +(\d+) kB$/gm);
    return [...sizes].reduce((total, [, kilobytes]) => total + Number(kilobytes) * 1024, 0);
  } catch {
    return undefined;
  }
}
