import { parseArgs } from 'node:util';
import { settingNameInFile, settingsInForce, settingText } from '../../etc/settings.ts';
import { type Command, print, printJSON } from './command.ts';

export const config: Command = {
  usage: `usage: ccapi config [--json]

Shows every setting that is in force, as krb5.conf has it, and where it was set.

  ccapi config | grep -v default`,

  async run(args) {
    const { values } = parseArgs({ args, options: { json: { type: 'boolean' } } });
    const settings = [...settingsInForce()].map(([name, { value, where }]) => ({
      key: settingNameInFile(name),
      value: settingText(value),
      where: where ?? 'default',
    }));
    if (values.json) printJSON(settings);
    else
      for (const { key, value, where } of settings) {
        const setting = `${key} = ${value}`.padEnd(48);
        print(`${setting} # ${where}`);
      }
  },
};
