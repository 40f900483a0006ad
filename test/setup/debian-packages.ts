import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';

/** The Debian packages that tests run, each with a file by which its presence shows. This is the one list. */
const packages = {
  // Apache without a service of the machine's.
  'apache2-bin': '/usr/sbin/apache2',
  apparmor: '/sbin/apparmor_parser',
  curl: '/usr/bin/curl',
  debootstrap: '/usr/sbin/debootstrap',
  gcc: '/usr/bin/gcc',
  'man-db': '/usr/bin/man',
  mandoc: '/usr/bin/mandoc',
  'openbsd-inetd': '/usr/sbin/inetd',
  'krb5-kdc': '/usr/sbin/krb5kdc',
  'krb5-admin-server': '/usr/sbin/kadmin.local',
  'krb5-user': '/usr/bin/kinit',
  'libapache2-mod-auth-gssapi': '/usr/lib/apache2/modules/mod_auth_gssapi.so',
  'libc6-dev': '/usr/include/stdio.h',
  'libkrb5-dev': '/usr/include/gssapi/gssapi.h',
  keyutils: '/usr/bin/keyctl',
  lintian: '/usr/bin/lintian',
  kstart: '/usr/bin/k5start',
  // The inetd of inetutils and xinetd ask it for the number of tcp.
  netbase: '/etc/protocols',
  'netcat-openbsd': '/bin/nc.openbsd',
  'openssh-client': '/usr/bin/ssh',
  'openssh-server': '/usr/sbin/sshd',
  patch: '/usr/bin/patch',
  python3: '/usr/bin/python3',
  // Its programs are run by the tests, and no service of the machine's.
  samba: '/usr/sbin/smbd',
  smbclient: '/usr/bin/smbclient',
  fish: '/usr/bin/fish',
  iproute2: '/bin/ip',
  socat: '/usr/bin/socat',
  sudo: '/usr/bin/sudo',
  systemd: '/usr/bin/systemd-socket-activate',
  s6: '/usr/bin/s6-ipcserver',
  'ucspi-unix': '/usr/bin/unixserver',
  uidmap: '/usr/bin/newuidmap',
  zsh: '/usr/bin/zsh',
} as const;

/** What the bench compares with, beside the tests' own. */
const compared = {
  'heimdal-kcm': '/usr/sbin/kcm',
  'sssd-kcm': '/usr/libexec/sssd/sssd_kcm',
} as const;

/** What is too heavy for each run of the tests: `npm run soak` has it. */
const soaked = {
  'openjdk-17-jdk-headless': '/usr/lib/jvm/java-17-openjdk-amd64/bin/javac',
  'golang-go': '/usr/bin/go',
  'golang-github-jcmturner-gokrb5.v8-dev': '/usr/share/gocode/src/github.com/jcmturner/gokrb5/v8',
} as const;

const installed = { ...packages, ...compared, ...soaked };

/** What is unpacked and not installed, since it would displace others of the list: Heimdal's programs those of MIT, an inetd the other. */
const unpacked = {
  heimdal: [
    'heimdal-clients',
    'libasn1-8-heimdal',
    'libhcrypto5-heimdal',
    'libheimbase1-heimdal',
    'libheimntlm0-heimdal',
    'libhx509-5-heimdal',
    'libkafs0-heimdal',
    'libkrb5-26-heimdal',
    'libroken19-heimdal',
    'libsl0-heimdal',
    'libwind0-heimdal',
    // Its headers, and one that they include.
    'heimdal-multidev',
    'comerr-dev',
  ],
  // Installed, it would be in the way of all logins of this machine.
  'libpam-krb5': ['libpam-krb5'],
  // Installed, these would begin services of this machine's, or take part in them.
  cron: ['cron', 'cron-daemon-common'],
  'cifs-utils': ['cifs-utils', 'libtalloc2'],
  gssproxy: ['gssproxy', 'libbasicobjects0', 'libcollection4', 'libini-config5', 'libpath-utils1', 'libref-array1'],
  'nfs-common': ['nfs-common', 'libevent-core-2.1-7', 'libnfsidmap1', 'libtirpc3', 'libtirpc-common'],
  bubblewrap: ['bubblewrap'],
  xinetd: ['xinetd', 'libtirpc3', 'libtirpc-common', 'libwrap0'],
  'inetutils-inetd': ['inetutils-inetd', 'libwrap0'],
  // Installed, it would tell the kernel to run programs of other processors by it.
  qemu: ['qemu-user-static'],
} as const;

/** Libraries of another processor, which are unpacked too. */
const foreign = { arm64: ['libc6', 'libgcc-s1', 'libstdc++6', 'libatomic1'] } as const;

/** Another release of Debian, in a directory: its own Node and Kerberos programs. */
const releases = { 'debian-13': { suite: 'trixie', include: ['nodejs', 'krb5-user'] } } as const;

/** A package of the list, a group of unpacked ones, the libraries of a processor, or a release. */
export type DebianPackage =
  | keyof typeof installed
  | keyof typeof unpacked
  | keyof typeof foreign
  | keyof typeof releases;

/** Whether a package's file is there. */
export function isInstalled(name: DebianPackage): boolean {
  if (name in installed) return existsSync(installed[name as keyof typeof installed]);
  if (!existsSync(join(placeOf(name), 'usr'))) return false;
  const archives = readdirSync(placeOf(name));
  const wanted: readonly string[] = { ...unpacked, ...foreign }[name as keyof typeof unpacked] ?? [];
  // The list may have grown since.
  return wanted.every((one) => archives.some((file) => file.startsWith(`${one}_`)));
}

/** The root directory of an unpacked group. */
export function unpackedRoot(name: keyof typeof unpacked): string {
  return placeOf(name);
}

/** Where the programs of an unpacked group are, and the directory of its libraries. */
export function unpackedPrograms(name: keyof typeof unpacked): { directory: string; libraries: string } {
  const lib = join(placeOf(name), 'usr/lib');
  const machine = readdirSync(lib).find((directory) => directory.includes('-linux-')) ?? '';
  return { directory: placeOf(name), libraries: join(lib, machine) };
}

/** The directory of the libraries of another processor. */
export function foreignRoot(architecture: keyof typeof foreign): string {
  return placeOf(architecture);
}

/** Where the root directory of another release is. */
export function rootOf(release: keyof typeof releases): string {
  return placeOf(release);
}

/** Whether programs may be fetched and installed: as root, unless the caller has said no. */
export function mayInstall(): boolean {
  return process.getuid?.() === 0 && process.env.CCAPI_TEST_INSTALL !== 'no';
}

/** Installs what is missing, where that can be done: on Debian. Elsewhere the tests that need it say so. */
export function installMissing(who: 'tests' | 'bench' = 'tests'): void {
  if (!mayInstall() || !existsSync('/usr/bin/apt-get')) return;
  const more = { ...(who === 'bench' && compared), ...(process.env.CCAPI_SOAK && soaked) };
  const wanted = Object.keys({ ...packages, ...more }) as (keyof typeof installed)[];
  const install = wanted.filter((name) => !isInstalled(name));
  const unpack = (Object.keys(unpacked) as (keyof typeof unpacked)[]).filter((name) => !isInstalled(name));
  const bootstrap = (Object.keys(releases) as (keyof typeof releases)[]).filter((name) => !isInstalled(name));
  const fetch = (Object.keys(foreign) as (keyof typeof foreign)[]).filter((name) => !isInstalled(name));
  if (install.length + unpack.length + bootstrap.length + fetch.length === 0) return;
  const all = [...install, ...unpack, ...fetch, ...bootstrap].join(', ');
  process.stderr.write(`installing ${all}; with CCAPI_TEST_INSTALL=no the tests that need these are left out\n`);
  // A package's own service must not start: the tests run their own, on ports of their own.
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' };
  const aptGet = (...args: string[]) =>
    execFileSync('/usr/bin/apt-get', args, { env, stdio: ['ignore', 'ignore', 'inherit'] });
  aptGet('update', '-q');
  if (install.length > 0) aptGet('install', '-q', '-y', '--no-install-recommends', ...install);
  for (const name of unpack) unpackInto(placeOf(name), unpacked[name]);
  for (const name of fetch) unpackForeignInto(placeOf(name), name, foreign[name]);
  for (const name of bootstrap) bootstrapInto(placeOf(name), releases[name]);
}

function placeOf(name: string): string {
  return join(import.meta.dirname, '../../node_modules/.cache', name);
}

function bootstrapInto(directory: string, { suite, include }: { suite: string; include: readonly string[] }): void {
  const unfinished = `${directory}.new`;
  rmSync(unfinished, { recursive: true, force: true });
  const options = ['--variant=minbase', `--include=${include.join(',')}`, suite, unfinished];
  execFileSync('/usr/sbin/debootstrap', options, { stdio: ['ignore', 'ignore', 'inherit'] });
  renameSync(unfinished, directory);
}

/** With lists of its own: this machine's dpkg learns of no other architecture. */
function unpackForeignInto(directory: string, architecture: string, names: readonly string[]): void {
  const state = `${directory}.lists`;
  for (const part of ['lists/partial', 'archives/partial']) mkdirSync(`${state}/${part}`, { recursive: true });
  const settings = {
    'APT::Architecture': architecture,
    'APT::Architectures': architecture,
    'Dir::State::lists': `${state}/lists`,
    'Dir::Cache': state,
  };
  const options = Object.entries(settings).flatMap(([name, value]) => ['-o', `${name}=${value}`]);
  execFileSync('/usr/bin/apt-get', [...options, 'update', '-q'], { stdio: 'ignore' });
  unpackInto(directory, names, options);
  rmSync(state, { recursive: true });
}

function unpackInto(directory: string, names: readonly string[], options: readonly string[] = []): void {
  mkdirSync(directory, { recursive: true });
  execFileSync('/usr/bin/apt-get', [...options, 'download', '-q', ...names], { cwd: directory, stdio: 'ignore' });
  for (const file of readdirSync(directory).filter((name) => name.endsWith('.deb'))) {
    execFileSync('/usr/bin/dpkg', ['-x', file, '.'], { cwd: directory });
  }
}
