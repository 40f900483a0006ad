import { readFileSync } from 'node:fs';

/** What the kernel shows of a uid that a user namespace does not have, unless it was told otherwise. Source: user_namespaces(7). */
export const OVERFLOW_UID = 65534;

/**
 * The uid that the first uid of this process's user namespace has outside; undefined in the machine's own, where each is
 * itself. In such a namespace root's files and sockets are those of no known uid. Source: user_namespaces(7).
 */
export function uidOutside(path = '/proc/self/uid_map'): number | undefined {
  try {
    const [inside, outside, count] = readFileSync(path, 'latin1').trim().split(/\s+/).map(Number);
    const isMachine = inside === 0 && outside === 0 && count === 0xffff_ffff;
    return isMachine ? undefined : outside;
  } catch {
    return undefined;
  }
}
