import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { krb5ConfPaths, readSection } from '../../etc/config/krb5-conf.ts';
import { clientDirectories } from '../../etc/config/paths.ts';
import { loadSettings } from '../../etc/config/settings.ts';
import type { Step } from '../../etc/config/setup-step.ts';
import { confirm } from '../../etc/host/confirm.ts';
import { acquireProcessLock } from '../../etc/host/process-lock.ts';
import { ConfigError } from '../../proto/errors.ts';
import { Machine } from '../launchers.ts';
import { type Command, type Options, print, printLines, UsageError } from './command.ts';
import { shellSteps, shellUndoSteps } from './setup-shell.ts';
import { userUnitSteps, userUnitUndoSteps } from './setup-units.ts';

const options = {
  undo: { type: 'boolean', summary: 'take all of that out again' },
  'dry-run': { type: 'boolean', summary: 'print what would be written, and do nothing' },
  yes: { type: 'boolean', summary: 'do not ask' },
} as const satisfies Options;

export const setup: Command = {
  synopsis: ['[--undo] [--dry-run | --yes]'],
  about: `Has your shells lead stock Kerberos programs to a server of your own, on a machine that no administrator has set up: by a
line in the file that your shell reads at its start and, where systemd runs for you, by a socket that starts the server.
For all users of a machine an administrator runs ccapi-launcher setup.`,
  options,
  example: 'ccapi setup --dry-run',

  async run(args) {
    const { values } = parseArgs({ args, options });
    if (values['dry-run'] && values.yes) throw new UsageError('--dry-run and --yes exclude each other');
    if (process.geteuid?.() === 0) throw new ConfigError('this is for a user; for a machine: ccapi-launcher setup');
    const { env } = process;
    const home = env.HOME || homedir();
    const unlock = acquireProcessLock(join(home, '.ccapi-setup.lock'));
    if (!unlock) throw new ConfigError('another setup runs');
    try {
      if (!values.undo && isServedByRoot(env)) return print('this machine is set up for all of its users');
      const steps = values.undo ? planUndo(env, home) : planSetup(env, home);
      if (steps.length === 0) return print(values.undo ? 'nothing is set up' : 'all is set up already');
      if (!values.yes) printLines(steps.flatMap(({ preview }) => preview));
      if (values['dry-run'] || !(values.yes || confirm('Go on?'))) return;
      for (const { says, run } of steps) {
        print(says);
        await run();
      }
      if (!values.undo) print('set up. Now, in a new shell: kinit, klist, ccapi doctor');
    } finally {
      unlock();
    }
  },
};

/** The server can be started before any program is led to it. */
function planSetup(env: NodeJS.ProcessEnv, home: string): Step[] {
  return [...userUnitSteps(configDirectory(env, home)), ...shellSteps(env, home)];
}

function planUndo(env: NodeJS.ProcessEnv, home: string): Step[] {
  return [...shellUndoSteps(env, home), ...userUnitUndoSteps(configDirectory(env, home))];
}

function configDirectory(env: NodeJS.ProcessEnv, home: string): string {
  return env.XDG_CONFIG_HOME || join(home, '.config');
}

/** Whether stock programs come to a server without any doing of the user's. */
function isServedByRoot(env: NodeJS.ProcessEnv): boolean {
  const settings = loadSettings({ env });
  const { first } = clientDirectories(settings, process.geteuid?.() as number, env);
  const names = readSection(krb5ConfPaths(env), 'libdefaults').filter(({ key }) => key === 'default_ccache_name');
  return Boolean(names[0]?.value.startsWith('KCM:')) && new Machine(first, settings.port).serves();
}
