import { existsSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { isEnabling, type PrintedUnit, parseUnits } from '../../etc/config/printed-units.ts';
import { asBytes, readText, type Step, systemctlStep, writeStep } from '../../etc/config/setup-step.ts';
import { askSystemctl } from '../../etc/host/systemctl.ts';
import { sampleText } from '../samples.ts';
import type { SetupRecord } from './record.ts';

const MARK = '# Made by ccapi-launcher setup; --undo removes this file. Put changes into a drop-in: systemctl edit';

/** Where a distribution's package puts its units. */
const PACKAGED = ['/usr/lib/systemd/system', '/lib/systemd/system'];

/** The sockets that stand at the front door where sssd-kcm is installed. */
const OTHERS = ['sssd-kcm.socket'];

/** The units of the machine, with what systemd is to do for them. */
export interface UnitPlan {
  /** What enabling them changes: the directories that it makes, the units that were not, and those that had the door. */
  changes: SetupRecord;
  files: Step[];
  /** Behind the files: has the sockets open, or open again. */
  open: Step[];
  /** Once the door is ours. */
  displace: Step[];
}

/** Source: systemd.unit(5), the section `[Install]`. */
export async function planUnits(port: number, isServed: () => Promise<boolean>): Promise<UnitPlan> {
  const units = machineUnits(port);
  const files = units.flatMap(({ path, text }) => (isOthers(path) ? [] : writeStep(path, `${MARK}\n${text}`)));
  const toEnable = units.filter(isEnabling).map(({ path }) => basename(path));
  const isOpen = files.length === 0 && toEnable.every(isEnabled) && (await isServed());
  const displaced = OTHERS.filter((unit) => isActive(unit) || isEnabled(unit)).map((unit) => ({
    unit,
    wasEnabled: isEnabled(unit),
  }));
  const enabled = toEnable.filter((name) => !isEnabled(name));
  return {
    changes: { directories: units.flatMap(wantedBy), enabled, displaced },
    files,
    open: isOpen ? [] : [systemctlStep('daemon-reload'), systemctlStep('enable', '--now', ...toEnable)],
    // A service that runs would keep its socket from being started again.
    displace: displaced.flatMap(({ unit }) => [
      systemctlStep('disable', '--now', unit),
      systemctlStep('stop', unit.replace('.socket', '.service')),
    ]),
  };
}

/** Closes the door, after what had it before has it again. */
export function unitUndoSteps(record: SetupRecord | undefined): Step[] {
  const all = machineUnits(0);
  const units = all.filter(({ path }) => readText(path)?.startsWith(MARK));
  const files = all.flatMap(({ path }) => writeStep(path, isOthers(path) ? readText(path) : undefined));
  if (files.length === 0 && !record) return [];
  const own = units.filter(isEnabling).map(({ path }) => basename(path));
  const enabled = [...new Set([...own, ...(record?.enabled ?? []).filter(isEnabled)])];
  // Servers of a template stay while their users need them.
  const others = units
    .map(({ path }) => basename(path))
    .filter((name) => !enabled.includes(name) && !name.includes('@'));
  return [
    ...(record?.displaced ?? []).map(({ unit, wasEnabled }) =>
      systemctlStep(...(wasEnabled ? ['enable', '--now', unit] : ['start', unit])),
    ),
    ...(enabled.length > 0 ? [systemctlStep('disable', '--now', ...enabled)] : []),
    ...(others.length > 0 ? [systemctlStep('stop', ...others)] : []),
    ...files,
    systemctlStep('daemon-reload'),
  ];
}

/** Those of the printed units that are the machine's and not a user's. */
function machineUnits(port: number): PrintedUnit[] {
  return parseUnits(sampleText('print-systemd-units'))
    .filter(({ path }) => path.startsWith('/etc/'))
    .map(({ path, text }) => ({ path, text: asBytes(text.replaceAll('127.0.0.1:789', `127.0.0.1:${port}`)) }));
}

function wantedBy({ path, text }: PrintedUnit): string[] {
  const targets = /^WantedBy=(.*)$/m.exec(text)?.[1]?.split(/\s+/) ?? [];
  return targets.map((target) => `${dirname(path)}/${target}.wants`);
}

/** Whether an admin has a unit of that name there already, as printed or of their own, or a package has brought it. */
function isOthers(path: string): boolean {
  const text = readText(path);
  if (text !== undefined) return !text.startsWith(MARK);
  return PACKAGED.some((directory) => existsSync(`${directory}/${basename(path)}`));
}

function isActive(unit: string): boolean {
  return askSystemctl('is-active', unit) === 'active';
}

function isEnabled(unit: string): boolean {
  return askSystemctl('is-enabled', unit) === 'enabled';
}
