import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

/** Whether a unit of the machine's systemd is active; false where systemd is not its first process. Source: systemctl(1). */
export function isUnitActive(unit: string): boolean {
  if (!existsSync('/run/systemd/system')) return false;
  return spawnSync('systemctl', ['is-active', '--quiet', unit]).status === 0;
}
