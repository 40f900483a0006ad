import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Whether systemd is the first process of this machine. Source: sd_booted(3). */
export function isSystemdHere(): boolean {
  return existsSync('/run/systemd/system');
}

/** What systemctl(1) prints, of the machine's systemd or, with `--user` first, of the user's; empty where it cannot be asked. */
export function askSystemctl(...args: string[]): string {
  return spawnSync('systemctl', args, options()).stdout?.trim() ?? '';
}

/** Has systemd do something. Returns what is wrong, in one text; undefined where it has done it. */
export function callSystemctl(...args: string[]): string | undefined {
  const { status, stderr, error } = spawnSync('systemctl', args, options());
  return status === 0 ? undefined : (error?.message ?? stderr.trim());
}

/** Where systemd was started with other directories for its units, its command looks there too. */
function options() {
  const { SYSTEMD_UNIT_PATH, XDG_CONFIG_HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS, HOME } = process.env;
  const known = { SYSTEMD_UNIT_PATH, XDG_CONFIG_HOME, XDG_RUNTIME_DIR, DBUS_SESSION_BUS_ADDRESS, HOME };
  const given = Object.fromEntries(Object.entries(known).filter(([, value]) => value !== undefined));
  return { env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...given }, encoding: 'utf8' } as const;
}
