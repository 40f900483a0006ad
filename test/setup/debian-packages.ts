import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** The Debian packages that tests run, each with a program by which its presence shows. This is the one list. */
const packages = {
  'openbsd-inetd': '/usr/sbin/inetd',
  'krb5-kdc': '/usr/sbin/krb5kdc',
  'krb5-admin-server': '/usr/sbin/kadmin.local',
  'krb5-user': '/usr/bin/kinit',
  'netcat-openbsd': '/bin/nc.openbsd',
  iproute2: '/bin/ip',
  socat: '/usr/bin/socat',
} as const;

/** A package of the list. */
export type DebianPackage = keyof typeof packages;

/** Whether a package's program is there. */
export function isInstalled(name: DebianPackage): boolean {
  return existsSync(packages[name]);
}

/** Installs what is missing, where that can be done: as root on Debian. Elsewhere the tests that need it say so. */
export function installMissing(): void {
  const missing = (Object.keys(packages) as DebianPackage[]).filter((name) => !isInstalled(name));
  if (missing.length === 0 || process.getuid?.() !== 0 || !existsSync('/usr/bin/apt-get')) return;
  // A package's own service must not start: the tests run their own, on ports of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  for (const args of [
    ['update', '-q'],
    ['install', '-q', '-y', '--no-install-recommends', ...missing],
  ]) {
    execFileSync('/usr/bin/apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  }
}
