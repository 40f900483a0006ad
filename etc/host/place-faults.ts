import { realpathSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { CCAPIError } from '../../proto/errors.ts';
import { checkUnreplaceable } from './private-directory.ts';

/** What is wrong with the place of a program that root is to run, and each user as that user; nothing where it is fine. */
export function placeFaults(path: string): string[] {
  const faults: string[] = [];
  const real = realpathSync(path);
  try {
    checkUnreplaceable(dirname(real), 0);
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
    faults.push(`${path}: root would run what another user can replace: ${error.message}`);
  }
  for (let at = real; at !== '/'; at = dirname(at)) {
    if ((statSync(at).mode & 0o001) === 0) faults.push(`${path}: other users cannot run it: ${at} is closed to them`);
  }
  return faults;
}
