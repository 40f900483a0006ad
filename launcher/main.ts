import { closeSync, openSync, writeSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { isatty } from 'node:tty';
import { parseArgs } from 'node:util';
import { baseDirectory } from '../etc/config/paths.ts';
import {
  type SettingTexts,
  settingArguments,
  settingOptions,
  settingsFromOptions,
  settingsUsage,
} from '../etc/config/settings.ts';
import { versionText } from '../etc/host/libc.ts';
import { takeListenFds } from '../etc/host/listen-fds.ts';
import { openLog } from '../etc/host/log.ts';
import { hasPeerCredentials, isListeningSocket } from '../etc/host/peer-credentials.ts';
import { CCAPIError, UsageError } from '../proto/errors.ts';
import { type LauncherContext, prepareContext, prepareOrRefuse, rootWithoutKoffi } from './context.ts';
import { detectMode, type Mode, stdinIsSocket, stdoutIsApart } from './invocation.ts';
import { listenByHand } from './listeners.ts';
import { installationFaults, sampleOptions, sampleText } from './samples.ts';
import { serveConnection, serveListeners } from './serve.ts';
import type { WaitingWorker } from './waiting-worker.ts';
import { startWatchdog } from './watchdog.ts';

const usage = `usage: ccapi-launcher [--listen [ADDRESS...] | --wait | --inetd] [options]
       ccapi-launcher setup [--undo] [--dry-run | --yes]

Tells a client where the credential-cache server of its uid listens, and starts that server where none runs.

  --listen [ADDRESS...]  listen on each [HOST:]PORT of loopback, or /path of a UNIX socket, which stock Kerberos
                     programs find as kcm_socket; the default on a terminal
  --wait             descriptor 0 is a listening socket: inetd's "wait"
  --inetd            descriptor 0 is the connection: inetd's "nowait", unixserver, s6-ipcserver
                     (with neither, descriptor 0 is tried; of systemd it takes the descriptors that are passed)
  --by-units         have systemd start the servers, by ccapi-server.socket, and make their space, by ccapi-space@.service
  --sweep            remove the directories and tickets of uids that no account has any more, and exit
  --version          print the version of the program and of what it runs on
  setup              have every user of this machine served, by systemd or inetd; setup --help says more
${settingsUsage()}

${sampleOptions.map((name) => `  --${name}`).join('\n')}
                     print what an admin installs, with the paths of this machine
`;

const { argv } = process;
const underSystemd = process.env.LISTEN_PID === String(process.pid);
// Under sshd descriptor 0 is a socket too, and a sample may be asked for.
const isAsked = argv.some(
  (word, at) =>
    (at === 2 && word === 'setup') ||
    word === '--listen' ||
    ['--help', '-h', '--version', '--sweep'].includes(word) ||
    word.startsWith('--print-'),
);
const underInetd =
  !underSystemd && (argv.includes('--wait') || argv.includes('--inetd') || (stdinIsSocket() && !isAsked));
const log = openLog('ccapi-launcher', underSystemd ? 'systemd' : underInetd ? 'syslog' : 'stderr');

/**
 * Under inetd descriptors 1 and 2 are the peer's socket: nothing that Node or a library says may go there. Where a client
 * or sshd gave two pipes, descriptor 1 is for the answer.
 */
function silence(): void {
  for (const descriptor of stdoutIsApart() ? [2] : [1, 2]) {
    try {
      closeSync(descriptor);
    } catch {
      // It was not open; /dev/null takes its number all the same.
    }
    openSync('/dev/null', 'w');
  }
}

/** The sample that was asked for. */
function chooseSample(flags: Record<string, unknown>): string | undefined {
  const name = sampleOptions.find((option) => flags[option]);
  return name && sampleText(name);
}

function readArguments() {
  const { values, positionals } = parseArgs({
    options: {
      ...settingOptions(),
      listen: { type: 'boolean' },
      wait: { type: 'boolean' },
      inetd: { type: 'boolean' },
      'by-units': { type: 'boolean' },
      sweep: { type: 'boolean' },
      help: { type: 'boolean', short: 'h' },
      version: { type: 'boolean' },
      ...Object.fromEntries(sampleOptions.map((name) => [name, { type: 'boolean' as const }])),
    },
    allowPositionals: true,
  });
  const flags: Record<string, string | boolean | undefined> = values;
  if (positionals.length > 0 && !flags.listen) {
    throw new UsageError(`unexpected argument ${JSON.stringify(positionals[0])}; see --help`);
  }
  return { flags, addresses: positionals, given: settingsFromOptions(values) };
}

async function main(): Promise<void> {
  if (underInetd) silence();
  // A group-writable umask or one that takes bits from 700 must not decide what the directories look like.
  process.umask(0o022);
  if (argv[2] === 'setup') {
    const { setup } = await import('./setup/main.ts');
    return setup(argv.slice(3));
  }
  const { flags, addresses, given } = readArguments();
  const passed = takeListenFds();
  const mode = detectMode(flags as { listen?: boolean; wait?: boolean; inetd?: boolean }, passed);
  if (flags.help || flags.version) {
    writeSync(1, flags.help ? usage : `${versionText('ccapi-launcher')}\n`);
    return;
  }
  const printed = chooseSample(flags);
  if (printed !== undefined) {
    if (!hasPeerCredentials()) log.warning(rootWithoutKoffi);
    for (const fault of installationFaults()) log.warning(fault);
    writeSync(1, printed);
    return;
  }
  if (flags.sweep) {
    const { sweep } = await import('./sweep.ts');
    return sweep(given);
  }
  const launcherUid = process.geteuid?.() as number;
  startWatchdog();
  const isByUnits = flags['by-units'] === true;
  const startWorker = isByUnits ? requestWorker : spawnWorker;
  const spare = mode === 'wait' && launcherUid === 0 ? await startFirstWorker(startWorker, given) : undefined;
  const options = {
    given,
    launcherUid,
    stays: mode === 'wait' || mode === 'listen',
    log,
    startWorker,
    isByUnits,
    spare,
  };
  if (mode === 'listen') {
    const context = prepareContext(options);
    process.on('exit', () => context.refusals.flush());
    refreshAtHangup(context);
    return listenByHand(context, addresses);
  }
  const context = prepareOrRefuse(options);
  process.on('exit', () => context.refusals.flush());
  if (options.stays) refreshAtHangup(context);
  await serveGiven(mode, passed.length > 0 ? passed : [0], context);
}

/** Starts a worker with the arguments of one. */
type StartWorker = (args: readonly string[]) => Promise<WaitingWorker>;

/** What starts a worker is loaded only for that: most clients find theirs running. */
const spawnWorker: StartWorker = async (args) => (await import('./spawn-worker.ts')).spawnWorker(args);
const requestWorker: StartWorker = async (args) => (await import('./request-worker.ts')).requestWorker(args);

/**
 * The worker of the first user starts beside this launcher, and waits until it is told its user: it reads nothing before.
 * With one processor they would only get in each other's way.
 */
async function startFirstWorker(start: StartWorker, given: SettingTexts): Promise<WaitingWorker | undefined> {
  if (availableParallelism() < 2) return undefined;
  return start(
    settingArguments({ ...given, directory: baseDirectory({ directory: given.directory }, 0, process.env) }),
  );
}

/** SIGHUP has the settings read anew; one that comes with the end of the terminal ends a launcher that was started there. */
function refreshAtHangup(context: LauncherContext): void {
  const isAtTerminal = isatty(0) || isatty(2);
  process.on('SIGHUP', () => {
    if (isAtTerminal && !hasTerminal()) process.exit(0);
    context.refresh(true);
  });
}

function hasTerminal(): boolean {
  try {
    closeSync(openSync('/dev/tty', 'r'));
    return true;
  } catch {
    return false;
  }
}

/** Serves what a super-server has given: descriptor 0, or those that systemd passes. */
async function serveGiven(mode: Mode, descriptors: number[], context: LauncherContext): Promise<void> {
  const [first = 0, ...more] = descriptors;
  // A descriptor above 2 is closed where it is tried and does not listen.
  const isConnection = mode === 'inetd' || (mode === 'socket' && first > 2 && isListeningSocket(first) === false);
  if (!isConnection && (await serveListeners(descriptors, context))) process.exit(0);
  if (mode === 'wait' || more.length > 0) {
    const which = more.length > 0 ? 'one of the descriptors' : `descriptor ${first}`;
    throw new UsageError(`${which} is no listening socket: say --inetd, for one connection`);
  }
  await serveConnection(first, context);
  // Node does not close descriptors 0 to 2; the process's end does.
  process.exit(0);
}

main().catch((error: Error) => {
  log.error(error instanceof CCAPIError || 'code' in error ? error.message : (error.stack ?? error.message));
  process.exit(2);
});
