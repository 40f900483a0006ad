import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { writeClientKrb5Conf } from '../../etc/config/client-krb5-conf.ts';
import { Context } from '../index.ts';
import { type Command, UsageError, warn } from './command.ts';

export const exec: Command = {
  synopsis: ['[--] COMMAND [ARGUMENT...]'],
  about: `Runs a command, and what it starts in its turn, with the tickets of stock Kerberos programs in your credential-cache
server, which stays for as long as the command runs. Ends as the command does: with its exit status, with 128 and the
signal's number where one ended it, with 127 where there is no such command and 126 where it cannot be run.`,
  offers: 'command',
  example: `ccapi exec -- kinit alice
ccapi exec -- bash`,

  async run(args) {
    const [program, ...rest] = args[0] === '--' ? args.slice(1) : args;
    if (program === undefined) throw new UsageError('exec needs a command');
    if (args[0] !== '--' && program.startsWith('-')) throw new UsageError(`exec has no option ${program}`);
    await using context = new Context();
    const { KRB5CCNAME: _, ...environment } = process.env;
    const child = { program, args: rest, env: { ...environment, KRB5_CONFIG: await krb5ConfigFor(context) } };
    const over = new AbortController();
    const kept = keepServer(context, over.signal);
    process.exitCode = await waitForStatus(child);
    over.abort();
    await kept;
  },
};

/** A server with a connection does not leave; where it is killed, another is started. */
async function keepServer(context: Context, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    try {
      await context.waitForChange(signal);
    } catch {
      if (signal.aborted || !(await restart(context))) return;
    }
  }
}

function restart(context: Context): Promise<boolean> {
  return context.getServerPath().then(
    () => true,
    () => false,
  );
}

/** Runs a program on this one's terminal, passes on what tells it to end, and returns the status to end with. */
function waitForStatus({
  program,
  args,
  env,
}: {
  program: string;
  args: string[];
  env: NodeJS.ProcessEnv;
}): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { env, stdio: 'inherit' });
    // The terminal sends its own to the whole group; the command decides what they mean.
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) process.on(signal, () => {});
    for (const signal of ['SIGTERM', 'SIGHUP'] as const) process.on(signal, () => child.kill(signal));
    child.once('error', (error: NodeJS.ErrnoException) => {
      warn(`${program}: ${error.code === 'ENOENT' ? 'no such command' : error.message}`);
      resolve(error.code === 'ENOENT' ? 127 : 126);
    });
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal as NodeJS.Signals]));
  });
}

/**
 * The value of KRB5_CONFIG with which stock Kerberos programs keep their tickets in the user's worker, which is started
 * if it does not run.
 */
export async function krb5ConfigFor(context: Context, env: NodeJS.ProcessEnv = process.env): Promise<string> {
  return writeClientKrb5Conf(await context.getServerPath(), env);
}
