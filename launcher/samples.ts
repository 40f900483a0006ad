import { readFileSync, realpathSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { checkUnreplaceable } from '../etc/host/private-directory.ts';
import { CCAPIError } from '../proto/errors.ts';

/** The files of `etc/share/samples` that an option prints; each says at its beginning where an admin puts it. */
const files = {
  'print-inetd-entry': ['inetd.conf'],
  'print-xinetd-entry': ['xinetd.conf'],
  'print-systemd-units': [
    'ccapi.socket',
    'ccapi.service',
    'ccapi-server.socket',
    'ccapi-server@.service',
    'ccapi-space@.service',
    'user/ccapi.socket',
    'user/ccapi.service',
  ],
  'print-krb5-conf': ['krb5.conf'],
  'print-services-entry': ['services'],
  'print-tmpfiles-conf': ['tmpfiles.conf'],
  'print-pam-profile': ['pam-profile'],
  'print-pam-env-conf': ['pam-env.conf'],
  'print-systemd-logins-conf': ['logins.conf'],
  'print-userdel-hook': ['userdel-hook'],
  'print-apparmor-profile': ['apparmor'],
} as const;

/** The name of an option that prints a sample. */
type SampleOption = keyof typeof files;
export const sampleOptions = Object.keys(files) as SampleOption[];

const packageDirectory = join(__dirname, '..');

/** What an admin installs, with the paths of this machine in the place of those that the files have. */
export function sampleText(option: SampleOption): string {
  return files[option]
    .map((name) => readFileSync(join(packageDirectory, 'etc/share/samples', name), 'utf8'))
    .map((text) => text.replaceAll('/usr/local/lib/node_modules/ccapi', packageDirectory))
    .map((text) => text.replaceAll('/usr/bin/node', process.execPath))
    .join('\n');
}

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

/** The faults of the programs that the printed entries name. */
export function installationFaults(): string[] {
  return [process.execPath, join(__dirname, 'ccapi-server.js')].flatMap(placeFaults);
}
