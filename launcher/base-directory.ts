import { accessSync, chmodSync, constants, mkdtempSync } from 'node:fs';
import { dirname } from 'node:path';
import { baseDirectory } from '../etc/config/paths.ts';
import type { Settings } from '../etc/config/settings.ts';
import type { Log } from '../etc/host/log.ts';
import { ConfigError } from '../proto/errors.ts';

/** Where the users' directories are made. */
export interface BaseDirectory {
  path: string;
  /** Only this process knows where it is, so it has to stay while a worker runs there. */
  isHeld: boolean;
}

/**
 * Where no directory is configured and root cannot write to /run, it is one of a random name in /tmp, as in the
 * proposal of 2007. A launcher that is there for one connection (`stays` is false) cannot remember it: 202 then.
 */
export function chooseBaseDirectory(settings: Settings, launcherUid: number, stays: boolean, log: Log): BaseDirectory {
  const path = baseDirectory(settings, launcherUid, process.env);
  const isSaid = settings.directory !== undefined || settings.pathTemplate !== undefined;
  if (isSaid || launcherUid !== 0 || isWritable(dirname(path))) return { path, isHeld: false };
  if (!stays) {
    throw new ConfigError(`${path} cannot be made; set directory in krb5.conf, or use inetd's "wait"`);
  }
  const random = mkdtempSync('/tmp/ccapi-');
  chmodSync(random, 0o755);
  log.warning(`${path} cannot be made; the users' directories are in ${random} while any of them is in use`);
  return { path: random, isHeld: true };
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
