import { parseArgs } from 'node:util';
import type { AccessRule } from '../../etc/config/access-rules.ts';
import { loadSettings, settingsInForce, settingsReport } from '../../etc/config/settings.ts';
import { NameService } from '../../etc/host/name-service.ts';
import { ROOT_PORT } from '../../proto/rendezvous.ts';
import { type Command, type Options, print, printJSON } from './command.ts';
import { type Difference, differences, readRunningSettings } from './running-settings.ts';

const options = {
  json: { type: 'boolean', summary: 'as JSON' },
  check: {
    type: 'boolean',
    summary: 'only say what is wrong',
    help: `only say what is wrong with them: keys, values, and names in allow, deny and redirect that no database has;
exits with 1 where anything is. Before a launcher reads a changed krb5.conf, this is the command to type.`,
  },
} as const satisfies Options;

export const config: Command = {
  synopsis: ['[--json | --check]'],
  about: `Shows every setting that is in force, as krb5.conf has it, and where it was set; and where the launcher and the server
that run go by another value, which it is and where they have it from.`,
  options,
  example: 'ccapi config | grep -v default',

  async run(args) {
    const { values } = parseArgs({ args, options });
    if (values.check) return check();
    const here = settingsReport(settingsInForce());
    const others = differences(await readRunningSettings(Number(here.port?.value) || ROOT_PORT), here);
    const settings = Object.entries(here).map(([key, setting]) => ({
      key,
      ...setting,
      running: others.filter((other) => other.key === key).map(({ key: _, ...other }) => other),
    }));
    if (values.json) printJSON(settings);
    else
      for (const { key, value, where, running } of settings) {
        const setting = `${key} = ${value}`.padEnd(48);
        print([`${setting} # ${where}`, ...running.map(otherwise)].join('; '));
      }
  },
};

function otherwise({ program, value, where }: Omit<Difference, 'key'>): string {
  return `the ${program} has ${JSON.stringify(value)}, from ${where}`;
}

/** Throws the first error of the settings; prints each name that no database has. */
async function check(): Promise<void> {
  const { allow, deny, redirect } = loadSettings();
  const names = new NameService();
  const rules: Record<string, readonly Pick<AccessRule, 'pattern'>[]> = {
    allow,
    deny,
    redirect: redirect.flatMap(({ patterns }) => patterns.map((pattern) => ({ pattern }))),
  };
  for (const [key, ofKey] of Object.entries(rules)) {
    for (const name of await names.missingNames(ofKey)) {
      print(`${key}: ${name}: no database has this name; correct it in krb5.conf`);
      process.exitCode = 1;
    }
  }
  if (process.exitCode === undefined) print('the settings are fine');
}
