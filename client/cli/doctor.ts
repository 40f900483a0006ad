import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { krb5ConfPaths } from '../../etc/config/krb5-conf.ts';
import { clientDirectories } from '../../etc/config/paths.ts';
import { loadSettings } from '../../etc/config/settings.ts';
import type { Settings } from '../../etc/config/settings-table.ts';
import { type Command, coloured, type Options, print, printJSON } from './command.ts';
import { findExposures } from './doctor/exposure.ts';
import type { Finding, Patient } from './doctor/finding.ts';
import { checkFrontDoor } from './doctor/front-door.ts';
import { checkDirectories, checkInstallation, checkLauncher, checkNamespace } from './doctor/launcher.ts';
import { checkInForce, checkServer, checkStorage } from './doctor/server.ts';
import { checkAppArmor, checkLibkrb5, checkSamba, checkSSSD } from './doctor/stock-programs.ts';

const options = { json: { type: 'boolean', summary: 'as JSON' } } as const satisfies Options;

export const doctor: Command = {
  synopsis: ['[--json]'],
  about: `Walks the way that a request takes, from krb5.conf to the server and back through the door of stock Kerberos programs, and
says of each step that it is fine, or what is wrong and what to do. Exits with 1 where anything is wrong.`,
  options,
  example: 'ccapi doctor',

  async run(args) {
    const { values } = parseArgs({ args, options });
    const findings = await examine(process.env);
    if (values.json) printJSON(findings);
    for (const { what, fine, says, todo } of values.json ? [] : findings) {
      print(fine ? coloured('green', 'fine ') : coloured('red', 'WRONG'), `  ${what}: ${says}`);
      if (todo !== undefined) print(`         ${todo}`);
    }
    if (findings.some(({ fine }) => !fine)) process.exitCode = 1;
  },
};

/** In the order of a request's way; a check may use what an earlier one has found. */
const checks: ((patient: Patient) => Promise<Finding[]>)[] = [
  checkInstallation,
  checkNamespace,
  checkDirectories,
  checkLauncher,
  checkServer,
  checkInForce,
  checkStorage,
  checkLibkrb5,
  checkSSSD,
  checkSamba,
  checkFrontDoor,
  checkAppArmor,
  checkExposure,
];

async function examine(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  let settings: Settings;
  try {
    settings = loadSettings({ env });
  } catch (error) {
    const todo = 'correct it; ccapi config shows all';
    return [{ what: 'settings', fine: false, says: (error as Error).message, todo }];
  }
  const patient: Patient = { env, uid: process.geteuid?.() as number, settings };
  const findings: Finding[] = [{ what: 'settings', fine: true, says: krb5ConfPaths(env).join(', ') }];
  for (const check of checks) findings.push(...(await check(patient)));
  return findings;
}

/** No fault of the user's: it does not count as wrong. */
async function checkExposure({ env, uid, settings }: Patient): Promise<Finding[]> {
  const { first } = clientDirectories(settings, uid, env);
  return findExposures(dirname(first)).map((exposure) => ({ ...exposure, fine: true }));
}
