import { RendezvousError } from '../../proto/rendezvous.ts';
import { CCAPIError } from '../index.ts';
import { type CommandTable, endWithReader, print, printLines, UsageError, warn } from './command.ts';
import { overview, usageOf } from './usage.ts';

/** The commands; each is loaded when it is called. */
const commands: CommandTable = {
  list: { summary: 'show the tickets', load: async () => (await import('./list.ts')).list },
  path: { summary: "print the path of the server's socket", load: async () => (await import('./path.ts')).path },
  env: { summary: 'print how a shell has stock programs use it', load: async () => (await import('./env.ts')).env },
  exec: { summary: 'run a command with its tickets in the server', load: async () => (await import('./exec.ts')).exec },
  setup: {
    summary: 'have your shells lead stock programs to it',
    load: async () => (await import('./setup.ts')).setup,
  },
  import: { summary: 'take tickets in from a file', load: async () => (await import('./import.ts')).importTickets },
  export: { summary: 'write tickets to a file', load: async () => (await import('./export.ts')).exportTickets },
  destroy: { summary: 'destroy tickets', load: async () => (await import('./destroy.ts')).destroy },
  switch: { summary: 'choose the default ccache', load: async () => (await import('./switch.ts')).switchDefault },
  move: { summary: 'move the tickets of one ccache into another', load: async () => (await import('./move.ts')).move },
  copy: { summary: 'copy tickets from one server to another', load: async () => (await import('./copy.ts')).copy },
  connect: {
    summary: 'join standard input and output to it',
    load: async () => (await import('./connect.ts')).connect,
  },
  status: { summary: 'show how the server is', load: async () => (await import('./status.ts')).status },
  doctor: { summary: 'find what is wrong, and say what to do', load: async () => (await import('./doctor.ts')).doctor },
  purge: { summary: 'remove what has expired', load: async () => (await import('./purge.ts')).purge },
  stop: { summary: 'end the server', load: async () => (await import('./stop.ts')).stop },
  config: {
    summary: 'show the settings, and where they were set',
    load: async () => (await import('./config.ts')).config,
  },
  watch: { summary: 'print changes as they happen', load: async () => (await import('./watch.ts')).watch },
  completions: {
    summary: 'print the completions of a shell',
    load: async () => (await import('./completions.ts')).completions,
  },
};

async function main([name, ...args]: string[]): Promise<void> {
  if (name === undefined || name === '--help' || name === '-h' || (name === 'help' && args.length === 0)) {
    printLines(overview(commands));
    return;
  }
  if (name === '--version') {
    const { versionText } = await import('../../etc/host/libc.ts');
    print(versionText('ccapi'));
    return;
  }
  if (name === 'help') return main([...args.slice(0, 1), '--help']);
  const entry = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (!entry) throw new UsageError(`there is no command ${JSON.stringify(name)}`);
  const command = await entry.load();
  // What stands behind a command is that command's.
  const own = name === 'exec' ? args.slice(0, 1) : args;
  if (own.includes('--help') || own.includes('-h')) printLines(usageOf(name, command));
  else await command.run(args, commands);
}

/** What to type to see how it is used. */
function helpOn(name: string | undefined): string {
  return name !== undefined && Object.hasOwn(commands, name) ? `ccapi ${name} --help` : 'ccapi --help';
}

/** Whether no server could be had, for whatever reason. */
function isUnreached(error: Error): boolean {
  const names = ['ccErrServerUnavailable', 'ccErrServerInsecure'] as const;
  return error instanceof RendezvousError || names.some((name) => CCAPIError.is(error, name));
}

/** Prints why the command failed, and sets the exit status. */
function report(error: Error & { code?: unknown }): void {
  const wrongArguments = error instanceof UsageError || String(error.code).startsWith('ERR_PARSE_ARGS');
  // Errors that are meant for the person say all there is to say; anything else is a fault of ours, and needs its place.
  const meant = wrongArguments || error instanceof CCAPIError || error instanceof RendezvousError || 'code' in error;
  // Node's own hint, how an argument is given that looks like an option, is of no use here.
  const says = wrongArguments ? error.message.replace(/\. To specify a positional argument .*/s, '') : error.message;
  if (meant) warn(says);
  else for (const line of (error.stack ?? error.message).split('\n')) warn(line);
  if (wrongArguments) warn(`see: ${helpOn(process.argv[2])}`);
  else if (isUnreached(error)) warn('ccapi doctor looks for the reason');
  process.exitCode = wrongArguments ? 2 : 1;
}

endWithReader();
// Node itself would print the message as it is.
process.on('uncaughtException', (error) => {
  report(error);
  process.exit();
});
main(process.argv.slice(2)).catch(report);
