import { parseArgs } from 'node:util';
import { Context } from '../index.ts';
import { type Command, type Options, print } from './command.ts';

const options = {
  explain: {
    type: 'boolean',
    summary: 'which rule led there',
    help: 'before it, which setting or rule led where, and what was tried',
  },
} as const satisfies Options;

export const path: Command = {
  synopsis: ['[--explain]'],
  about: `Prints the path of the socket of your credential-cache server, which is started if it does not run; or the URI by which it
is reached.`,
  options,
  example: 'ls -l "$(ccapi path)"',

  async run(args) {
    const { values } = parseArgs({ args, options });
    await using context = new Context(values.explain ? { explain: (line) => print(line) } : {});
    print(await context.getServerPath());
  },
};
