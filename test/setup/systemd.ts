import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterwards, end, eventually, start } from './cleanup.ts';
import type { Kdc } from './kdc.ts';
import { cleanEnvironment, type Outcome, programs, run, succeed } from './programs.ts';

const root = join(import.meta.dirname, '../..');

/** Where the repository is on that machine. */
const INSTALLED = '/opt/ccapi';

const PATH = '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * A machine with systemd as its first process, and its own /run, /etc, /tmp and network; programs are those of this one, but
 * for kinit, which may be overwritten.
 */
export interface SystemdMachine {
  /** Runs lines for a shell there, as root or as another user. */
  run(lines: string, options?: { uid?: number; env?: NodeJS.ProcessEnv }): Promise<Outcome>;
}

/** The units as the launcher prints them, each with its place. */
export async function printedUnits(): Promise<{ path: string; content: string }[]> {
  const text = await succeed(process.execPath, [programs.launcher, '--print-systemd-units']);
  const [, ...parts] = text.split(/^# For (\S+?)[.:](?: .*)?$/m);
  return parts.flatMap((path, i) => (i % 2 === 0 ? [{ path, content: parts[i + 1] as string }] : []));
}

/** A path of this machine, or a text with such, as it is there. */
export function there(text: string): string {
  return text.replaceAll(root, INSTALLED);
}

/** Boots it, with a KDC, and with nothing of the machine's own units but what all others wait for. Needs root. */
export async function startSystemd(kdc: Kdc): Promise<SystemdMachine> {
  const cgroup = `ccapi-test-${process.pid}-${Math.trunc(performance.now())}`;
  const env = {
    REPOSITORY: root,
    INSTALLED,
    KDC: join(kdc.profile, '..'),
    KRB5_CONF: kdc.krb5Conf,
    KDC_UNIT: kdcUnit(kdc),
    CGROUP: cgroup,
    BOOT: boot,
  };
  // Before the process, since what is asked for last is done first.
  afterwards(async () => {
    await eventually(async () => (await run('/usr/bin/unshare', ['-m', 'sh', '-c', dropCgroup], { env })).code === 0);
  });
  const outside = start('/usr/bin/unshare', ['-m', '-n', '-u', '-i', 'sh', '-c', leave], {
    env: cleanEnvironment(env),
    stdio: 'ignore',
  });
  // systemd does not end for a SIGTERM.
  afterwards(() => end(outside, 'SIGKILL'));
  const pid = await eventually(() => systemdOf(outside.pid as number));
  const machine: SystemdMachine = {
    run: (lines, { uid, env: given = {} } = {}) => {
      const as = uid === undefined ? [] : ['setpriv', `--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
      const set = Object.entries({ PATH, ...given }).map(([name, value]) => `${name}=${value}`);
      return run('/usr/bin/nsenter', ['-t', pid, '-a', 'env', '-i', ...set, ...as, 'sh', '-c', there(lines)]);
    },
  };
  await eventually(async () => (await machine.run('systemctl is-active kdc.service')).stdout === 'active\n');
  return machine;
}

/** The pid here of what is the first process there; before it is, others are the children. */
function systemdOf(pid: number): string | undefined {
  const child = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim();
  try {
    return readFileSync(`/proc/${child}/comm`, 'utf8') === 'systemd\n' ? child : undefined;
  } catch {
    return undefined;
  }
}

function kdcUnit({ krb5Conf, profile, realm }: Kdc): string {
  return [
    '[Service]',
    `Environment=KRB5_CONFIG=${krb5Conf} KRB5_KDC_PROFILE=${profile}`,
    `ExecStart=/usr/sbin/krb5kdc -n -r ${realm}`,
    '',
  ].join('\n');
}

/** The one tree of cgroups, whichever this machine uses, and wherever. */
const mountCgroups = `
while umount -R /sys/fs/cgroup 2>/dev/null; do :; done
mount -t cgroup2 cgroup2 /sys/fs/cgroup`;

const leave = `set -e
${mountCgroups}
mkdir "/sys/fs/cgroup/$CGROUP"
echo 0 > "/sys/fs/cgroup/$CGROUP/cgroup.procs"
exec unshare -C -p --fork --kill-child --mount-proc sh -c "$BOOT"`;

const dropCgroup = `${mountCgroups}
[ ! -e "/sys/fs/cgroup/$CGROUP" ] || find "/sys/fs/cgroup/$CGROUP" -depth -type d -exec rmdir {} +`;

const boot = `set -e
${mountCgroups}
mount --bind /proc/sys /proc/sys
mount -o remount,ro,bind /proc/sys
mount -t tmpfs -o mode=755 tmpfs /run
cp -a /etc /run/etc
mount --bind /run/etc /etc
mkdir /run/kept
mount --bind "$KDC" /run/kept
mount -t tmpfs -o mode=755 tmpfs /opt
mkdir "$INSTALLED"
mount --bind "$REPOSITORY" "$INSTALLED"
mount -t tmpfs -o mode=1777 tmpfs /tmp
mount -t tmpfs -o mode=1777 tmpfs /var/tmp
cp -a /usr/bin/kinit /run/kinit
mount --bind /run/kinit /usr/bin/kinit
mkdir -p "$KDC"
mount --bind /run/kept "$KDC"
cp "$KRB5_CONF" /etc/krb5.conf
rm -rf /etc/systemd/system
mkdir -p /etc/systemd/system/basic.target.wants /etc/systemd/journald.conf.d
cd /lib/systemd/system
cp basic.target sysinit.target sockets.target shutdown.target systemd-journald.service systemd-journald.socket /etc/systemd/system
cd /etc/systemd/system
printf %s "$KDC_UNIT" > kdc.service
ln -s ../kdc.service ../systemd-journald.service basic.target.wants
printf '[Journal]\\nStorage=volatile\\nReadKMsg=no\\nAudit=no\\n' > /etc/systemd/journald.conf.d/tests.conf
ip link set lo up
# As systemd has it where it is in no container.
mount --make-rshared /
exec env -i container=other PATH=${PATH} SYSTEMD_UNIT_PATH=/etc/systemd/system \\
  /lib/systemd/systemd --system --unit=basic.target --log-target=journal --show-status=no`;
