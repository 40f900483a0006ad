import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { isEnabling, type PrintedUnit, parseUnits } from '../../etc/config/printed-units.ts';
import {
  asBytes,
  makeDirectoryStep,
  readText,
  removeDirectoryStep,
  type Step,
  systemctlStep,
  writeStep,
} from '../../etc/config/setup-step.ts';
import { callSystemctl } from '../../etc/host/systemctl.ts';
import { ConfigError } from '../../proto/errors.ts';

const MARK = '# Made by ccapi setup; --undo removes this file. Put changes into a drop-in: systemctl --user edit';

/** Has systemd start the server at the first connection, where it runs for this user. */
export function userUnitSteps(config: string): Step[] {
  if (!answers('show-environment')) return [];
  const units = userUnits(config);
  const files = units.flatMap((unit) => (isOthers(unit) ? [] : writeStep(unit.path, `${MARK}\n${unit.text}`)));
  const names = units.filter(isEnabling).map(({ path }) => basename(path));
  if (files.length === 0 && names.every((name) => answers('is-active', name))) return [];
  const directory = dirname(units[0]?.path ?? config);
  return [
    ...(existsSync(directory) ? [] : [makeDirectoryStep(directory)]),
    ...files,
    systemctlStep('--user', 'daemon-reload'),
    systemctlStep('--user', 'enable', '--now', ...names),
  ];
}

/** What was put there is removed, and the directories that are empty then. */
export function userUnitUndoSteps(config: string): Step[] {
  const all = userUnits(config);
  const units = all.filter((unit) => readText(unit.path)?.startsWith(MARK));
  const files = all.flatMap((unit) => writeStep(unit.path, isOthers(unit) ? readText(unit.path) : undefined));
  if (files.length === 0) return [];
  const names = units.filter(isEnabling).map(({ path }) => basename(path));
  const isRunning = answers('show-environment');
  const directory = dirname(all[0]?.path ?? config);
  return [
    ...(isRunning && names.length > 0 ? [systemctlStep('--user', 'disable', '--now', ...names)] : []),
    ...files,
    ...(isRunning ? [systemctlStep('--user', 'daemon-reload')] : []),
    ...['sockets.target.wants', '.', '..'].map((name) => removeDirectoryStep(join(directory, name))),
  ];
}

/** The units of a user, as the launcher prints them. */
function userUnits(config: string): PrintedUnit[] {
  const args = [join(__dirname, 'ccapi-launcher.js'), '--print-systemd-units'];
  const child = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  if (child.status !== 0) throw new ConfigError(`${args.join(' ')} fails`);
  return parseUnits(child.stdout)
    .filter(({ path }) => path.startsWith('~/.config/'))
    .map(({ path, text }) => ({ path: path.replace('~/.config', config), text: asBytes(text) }));
}

function isOthers({ path }: PrintedUnit): boolean {
  const text = readText(path);
  return text !== undefined && !text.startsWith(MARK);
}

function answers(...args: string[]): boolean {
  return callSystemctl('--user', ...args) === undefined;
}
