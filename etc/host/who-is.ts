import { readFileSync } from 'node:fs';

/** Who the kernel says is there, for the log: uid, pid and the name of the program, as far as it can be seen. */
export function whoIs({ uid, pid }: { uid: number; pid: number }): string {
  try {
    return `uid ${uid}, pid ${pid} (${readFileSync(`/proc/${pid}/comm`, 'latin1').trim()})`;
  } catch {
    // It has ended, or there is no such directory.
    return `uid ${uid}, pid ${pid}`;
  }
}
