import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, print } from './command.ts';

export const path: Command = {
  usage: `usage: ccapi path

Prints the path of the socket of your credential-cache server, which is started if it does not run.

  ls -l "$(ccapi path)"`,

  async run(args) {
    parseArgs({ args, options: {} });
    await using context = new Context();
    print(await context.getServerPath());
  },
};
