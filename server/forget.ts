import { readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Company } from '../etc/host/company.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import { shredTree } from './storage/atomic-file.ts';

/** How long servers may take to end, in milliseconds, and how often it is looked. */
const [PATIENCE, LOOK_AGAIN] = [15_000, 25];

/**
 * Ends the servers of this process's uid and destroys all that is in its directory. The uid has no account any more, so that
 * no other server comes.
 */
export async function forgetUser(directory: string, uid: number): Promise<void> {
  const company = new Company(uid);
  for (const pid of company.otherServers()) {
    try {
      process.kill(pid, 'SIGTERM');
    } catch {
      // It has ended by itself.
    }
  }
  const deadline = monotonic() + PATIENCE;
  for (let left = company.otherServers(); left.length > 0; left = company.otherServers()) {
    if (monotonic() > deadline) throw new Error(`process ${left[0]} does not end`);
    await delay(LOOK_AGAIN);
  }
  for (const name of readdirSync(directory)) shredTree(`${directory}/${name}`);
}
