import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { placeFaults } from '../etc/host/place-faults.ts';

/** The files of `etc/share/samples` that an option prints; each says at its beginning where an admin puts it. */
const files = {
  'print-inetd-entry': ['inetd.conf'],
  'print-xinetd-entry': ['xinetd.conf'],
  'print-systemd-units': [
    'ccapi.slice',
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

/** The faults of the programs that the printed entries name. */
export function installationFaults(): string[] {
  return [process.execPath, join(__dirname, 'ccapi-server.js')].flatMap(placeFaults);
}
