import { existsSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { commandLineOf, commandOf, processIds, uidsOf } from '../../etc/host/processes.ts';
import { namesIn, textOf } from '../../etc/host/read-or-nothing.ts';
import { hasSambaHeimdal } from '../../etc/host/samba.ts';
import { isSystemdHere } from '../../etc/host/systemctl.ts';

/** What listens for others on this machine, and starts the launcher. */
export type SuperServer = { kind: 'systemd' } | Inetd;

/** An inetd that runs, or is installed: the file that it reads, and how it is told to read it again. */
export interface Inetd {
  kind: 'openbsd-inetd' | 'inetutils-inetd' | 'xinetd';
  file: string;
  /** Undefined where it does not run yet: Debian's openbsd-inetd starts only where inetd.conf has a service. */
  pid: number | undefined;
}

/** The names of their processes, which are those of their programs. */
const inetds: Record<Inetd['kind'], { command: string; file: string }> = {
  'openbsd-inetd': { command: 'inetd', file: '/etc/inetd.conf' },
  'inetutils-inetd': { command: 'inetutils-inetd', file: '/etc/inetd.conf' },
  xinetd: { command: 'xinetd', file: '/etc/xinetd.conf' },
};

/** The super-server that is in charge; else one that is installed; else undefined. Source: sd_booted(3). */
export function findSuperServer(): SuperServer | undefined {
  if (isSystemdHere() && commandOf(1) === 'systemd') return { kind: 'systemd' };
  return findRunningInetd() ?? findInstalledInetd();
}

function findRunningInetd(): Inetd | undefined {
  const kinds = Object.entries(inetds) as [Inetd['kind'], (typeof inetds)['xinetd']][];
  for (const pid of processIds()) {
    const [kind, { file }] = kinds.find(([, { command }]) => command === commandOf(pid)) ?? [undefined, { file: '' }];
    // What another file system is under, as in a container, is not this machine's; a user's process may have any name.
    if (kind && isRoots(pid) && linkOf(pid, 'ns/mnt') === linkOf('self', 'ns/mnt')) {
      return { kind, pid, file: fileOf(kind, commandLineOf(pid)) ?? file };
    }
  }
  return undefined;
}

/** Whether a process is root's in all of its uids, in this user namespace: none can be another user's who runs a set-uid program. */
function isRoots(pid: number): boolean {
  const uids = uidsOf(pid);
  const isHere = linkOf(pid, 'ns/user') === linkOf('self', 'ns/user');
  return isHere && uids.length > 0 && uids.every((uid) => uid === 0);
}

function findInstalledInetd(): Inetd | undefined {
  for (const [kind, { command, file }] of Object.entries(inetds) as [Inetd['kind'], (typeof inetds)['xinetd']][]) {
    if (existsSync(`/usr/sbin/${command}`)) return { kind, file, pid: undefined };
  }
  return undefined;
}

/** The file that it was started with. Source: inetd(8), xinetd(8). */
function fileOf(kind: Inetd['kind'], words: string[]): string | undefined {
  if (kind === 'xinetd') return words[words.indexOf('-f') + 1 || words.length];
  return words.slice(1).findLast((word) => word.startsWith('/'));
}

/** What is worth knowing of the machine beside that, as lines for the admin. */
export function describeMachine(): string[] {
  const names = ['/usr/lib', '/usr/lib64', ...directoriesBelow('/usr/lib')].flatMap(namesIn);
  const isSambaHere = hasSambaHeimdal();
  const heimdal = isSambaHere
    ? "Heimdal's library: its programs read the live view, as Samba's; its kinit writes there what is lost"
    : "Heimdal's library: its programs come by default_cc_type";
  const has = (pattern: RegExp) => names.some((name) => pattern.test(name));
  return [
    ...(has(/^libkrb5\.so\.3$/) ? ["MIT's Kerberos library: its programs come by default_ccache_name"] : []),
    ...(has(/^libkrb5\.so\.26$/) ? [heimdal] : []),
    ...(isSambaHere ? ["Samba's own Heimdal: its programs read the live view, by default_cc_name"] : []),
    ...(isAppArmorOn()
      ? ['AppArmor: ccapi-launcher --print-apparmor-profile prints a profile, which is not loaded']
      : []),
  ];
}

function isAppArmorOn(): boolean {
  return textOf('/sys/module/apparmor/parameters/enabled').startsWith('Y');
}

function directoriesBelow(path: string): string[] {
  return namesIn(path)
    .filter((name) => name.includes('-linux-'))
    .map((name) => join(path, name));
}

function linkOf(pid: number | 'self', name: string): string | undefined {
  try {
    return readlinkSync(`/proc/${pid}/${name}`);
  } catch {
    return undefined;
  }
}
