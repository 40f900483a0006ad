import { existsSync } from 'node:fs';
import { basename, join } from 'node:path';
import { withBlock, withoutBlock } from '../../etc/config/marked-block.ts';
import { asBytes, readText, type Step, writeStep } from '../../etc/config/setup-step.ts';
import { ConfigError } from '../../proto/errors.ts';

const UNDO = 'ccapi setup --undo';

/** The file that a shell reads at its start, and the line in it. */
interface ShellStart {
  file: string;
  line: string;
}

/** Has each shell from then on lead stock Kerberos programs to the server. */
export function shellSteps(env: NodeJS.ProcessEnv, home: string): Step[] {
  const { file, line } = startOf(env, home);
  return writeStep(file, withBlock(readText(file), file, asBytes(`${line}\n`), UNDO));
}

/** Takes the line out, whichever shell it was written for. */
export function shellUndoSteps(env: NodeJS.ProcessEnv, home: string): Step[] {
  const shells = ['sh', 'bash', 'zsh', 'csh', 'fish'];
  return shells.flatMap((shell) => {
    const { file } = startOf({ ...env, SHELL: shell }, home);
    return writeStep(file, withoutBlock(readText(file), file));
  });
}

/** Where the package is gone the line does nothing. Throws 202 (`ccErrBadParam`) for a path that a shell cannot be given. */
function startOf(env: NodeJS.ProcessEnv, home: string): ShellStart {
  const program = join(__dirname, 'ccapi.js');
  // What these mean between quotes differs from shell to shell.
  if (/['\\!\n]/.test(process.execPath + program)) {
    throw new ConfigError(`${program} cannot be named in the files of a shell: install it elsewhere`);
  }
  const ccapi = `'${process.execPath}' '${program}'`;
  const shell = basename(env.SHELL ?? 'sh');
  if (shell === 'fish') {
    const config = env.XDG_CONFIG_HOME ?? join(home, '.config');
    const set = `set -gx KRB5_CONFIG (${ccapi} exec -- printenv KRB5_CONFIG); and set -e KRB5CCNAME`;
    return { file: join(config, 'fish/config.fish'), line: `test -r '${program}'; and ${set}` };
  }
  if (/csh$/.test(shell)) {
    const file = ['.tcshrc', '.cshrc'].map((name) => join(home, name)).find((path) => existsSync(path));
    return { file: file ?? join(home, '.cshrc'), line: `if ( -r '${program}' ) eval \`${ccapi} env -c\`` };
  }
  const files: Record<string, string> = { bash: '.bashrc', zsh: '.zshrc' };
  const directory = shell === 'zsh' ? (env.ZDOTDIR ?? home) : home;
  return {
    file: join(directory, files[shell] ?? '.profile'),
    line: `[ ! -r '${program}' ] || eval "$(${ccapi} env -s)"`,
  };
}
