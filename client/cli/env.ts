import { parseArgs } from 'node:util';
import { escapeText } from '../../etc/host/escape.ts';
import { CCAPIError, Context } from '../index.ts';
import { type Command, type Options, printLines, UsageError } from './command.ts';
import { krb5ConfigFor } from './exec.ts';

const options = {
  s: { type: 'boolean', short: 's', summary: 'for sh', help: 'for sh, bash and zsh' },
  c: {
    type: 'boolean',
    short: 'c',
    summary: 'for csh',
    help: 'for csh and tcsh; the default where $SHELL is one of them',
  },
} as const satisfies Options;

export const env: Command = {
  synopsis: ['[-s | -c]'],
  about: `Prints shell commands after which kinit, klist, ssh and the like keep their tickets in your credential-cache server, on a
machine that no administrator has set up. The server is started, and stays while it holds a ticket that has not
expired; ccapi exec keeps it for as long as a command runs.`,
  options,
  example: 'eval "$(ccapi env)"',

  async run(args) {
    const { values } = parseArgs({ args, options });
    if (values.s && values.c) throw new UsageError('-s and -c exclude each other');
    await using context = new Context();
    const value = await krb5ConfigFor(context);
    const csh = values.c ?? (!values.s && /csh$/.test(process.env.SHELL ?? ''));
    // What the shell is given must be what was meant, and is shown to the person all the same.
    if (escapeText(value) !== value)
      throw new CCAPIError('ccErrBadParam', `KRB5_CONFIG=${value} cannot be given to a shell`);
    // A name of a ccache in the environment would outrank the krb5.conf.
    if (csh) printLines([`setenv KRB5_CONFIG ${quotedForCsh(value)};`, 'unsetenv KRB5CCNAME;']);
    else printLines([`KRB5_CONFIG=${quoted(value)}; export KRB5_CONFIG;`, 'unset KRB5CCNAME;']);
  },
};

/** csh substitutes its history for an exclamation mark between quotes too. */
function quotedForCsh(text: string): string {
  return quoted(text).replaceAll('!', '\\!');
}

function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
