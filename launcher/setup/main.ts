import { writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { confirm } from '../../etc/host/confirm.ts';
import { escapeText } from '../../etc/host/escape.ts';
import { hasPeerCredentials } from '../../etc/host/peer-credentials.ts';
import { acquireProcessLock } from '../../etc/host/process-lock.ts';
import { ConfigError, UsageError } from '../../proto/errors.ts';
import { rootWithoutKoffi } from '../context.ts';
import { installationFaults } from '../samples.ts';
import { describeMachine, findSuperServer } from './machine.ts';
import { type Plan, planSetup, planUndo } from './plan.ts';

/** Only root can put anything there, and it is gone with a boot. */
const LOCK = '/run/ccapi-setup.lock';

const usage = `usage: ccapi-launcher setup [--undo] [--dry-run | --yes]

Has every user of this machine served: enters the launcher with systemd or inetd, opens the front door of stock Kerberos
programs, and leads them to it in krb5.conf. What is set up already stays as it is.

  --undo      take all of that out again; the machine is then as it was, but for what was changed beside it
  --dry-run   print what would be written and done, and do nothing
  --yes       do not ask
`;

/** Sets the machine up, or undoes that. Throws 202 (`ccErrBadParam`) where that cannot be. */
export async function setup(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      undo: { type: 'boolean' },
      'dry-run': { type: 'boolean' },
      yes: { type: 'boolean', short: 'y' },
      help: { type: 'boolean', short: 'h' },
    },
  });
  if (values.help) return void writeSync(1, usage);
  if (values['dry-run'] && values.yes) throw new UsageError('--dry-run and --yes exclude each other');
  if (process.geteuid?.() !== 0) throw new UsageError('setup is for root; for yourself alone: ccapi setup');
  const unlock = acquireProcessLock(LOCK);
  if (!unlock) throw new ConfigError('another setup runs');
  try {
    if (!values.undo) refuseUnfit();
    const plan = values.undo ? planUndo() : await planSetup();
    if (!values.undo)
      printLines([`found: ${findSuperServer()?.kind}`, ...describeMachine().map((line) => `found: ${line}`)]);
    if (plan.steps.length === 0) return printLines([values.undo ? 'nothing is set up' : 'all is set up already']);
    if (values['dry-run']) return printPlan(plan);
    if (!values.yes) printPlan(plan);
    if (!values.yes && !confirm('Go on?')) return printLines(['nothing was changed']);
    await carryOut(plan, values.undo ? undefined : () => carryOut(planUndo()));
    printLines(values.undo ? ['this machine is as it was'] : ['set up. Now, as any user: kinit, klist, ccapi doctor']);
  } finally {
    unlock();
  }
}

/** A program that others cannot run serves none of them, and one that others can write to is root's no longer. */
function refuseUnfit(): void {
  if (!hasPeerCredentials()) throw new ConfigError(rootWithoutKoffi);
  const faults = installationFaults();
  if (faults.length > 0) throw new ConfigError(faults.join('\n'));
}

function printPlan({ steps, notes }: Plan): void {
  printLines([...steps.flatMap(({ preview }) => preview), ...notes.map((note) => `note: ${note}`)]);
}

/** Does it step by step; `takeBack` undoes what was done where one fails. */
async function carryOut({ steps, notes }: Plan, takeBack?: () => Promise<void>): Promise<void> {
  for (const step of steps) {
    printLines([step.says]);
    try {
      await step.run();
    } catch (error) {
      if (!takeBack) throw error;
      printLines([`failed: ${(error as Error).message}`, 'what was done is taken back']);
      await takeBack();
      throw error;
    }
  }
  printLines(notes.map((note) => `note: ${note}`));
}

function printLines(lines: string[]): void {
  for (const line of lines) writeSync(1, `${escapeText(line)}\n`);
}
