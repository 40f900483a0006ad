import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, print } from './command.ts';

export const path: Command = {
  usage: `usage: ccapi path [--explain]

Prints the path of the socket of your credential-cache server, which is started if it does not run; or the URI by which it
is reached.

  --explain  before it, which setting or rule led where, and what was tried

  ls -l "$(ccapi path)"`,

  async run(args) {
    const { values } = parseArgs({ args, options: { explain: { type: 'boolean' } } });
    await using context = new Context(values.explain ? { explain: (line) => print(line) } : {});
    print(await context.getServerPath());
  },
};
