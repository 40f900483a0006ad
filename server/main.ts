import { closeSync, mkdirSync, openSync, readSync, writeSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { baseDirectory, sessionDirectory, userDirectory } from '../etc/config/paths.ts';
import {
  type SettingTexts,
  settingOptions,
  settingsFromOptions,
  settingsInForce,
  settingsOf,
  settingsReport,
  settingsUsage,
} from '../etc/config/settings.ts';
import { escapeText } from '../etc/host/escape.ts';
import { hasInput } from '../etc/host/fd-passing.ts';
import { becomeUser, disableTracing } from '../etc/host/identity.ts';
import { libc, versionText } from '../etc/host/libc.ts';
import { takeListenFds } from '../etc/host/listen-fds.ts';
import { openLog } from '../etc/host/log.ts';
import { NO_SESSION } from '../etc/host/login-session.ts';
import { checkPrivateDirectory } from '../etc/host/private-directory.ts';
import { MAX_ANSWER, MAX_ASSIGNMENT, type WorkerAssignment } from '../proto/assignment.ts';
import { UsageError } from '../proto/errors.ts';
import { isSessionName } from '../proto/rendezvous.ts';
import { forgetUser } from './forget.ts';
import { prepareAhead } from './rehearsal.ts';
import { Worker } from './worker.ts';
import { checkLocal } from './worker-directory.ts';

const NEWLINE = 0x0a;

/** The longest report, in characters: what the launcher reads, without its newline and room for the pid before it. */
const MAX_REPORT = MAX_ANSWER - 32;

const usage = `usage: ccapi-server [options]

Holds the credential caches of the user it runs as. ccapi-launcher starts it; there is no need to start it by hand. It may
be a systemd user unit with the socket S.ccapi in the user's directory.

  --assigned       wait for the launcher's line on standard input, and become the user that it names
  --accepted       the same on a connection that systemd has accepted for the launcher, which stays open
  --forget         end the servers of the uid and destroy all that is in its directory; the launcher says it of a uid without account
  --session NAME   only those of this login session
  --version        print the version of the program and of what it runs on
${settingsUsage()}
`;

/** The settings in force, and a report of them. */
function readSettings(commandLine: SettingTexts) {
  const inForce = settingsInForce({ commandLine });
  return { ...settingsOf(inForce), report: settingsReport(inForce) };
}

type ReportedSettings = ReturnType<typeof readSettings>;

async function main(): Promise<void> {
  process.umask(0o077);
  const own = {
    help: { type: 'boolean', short: 'h' },
    version: { type: 'boolean' },
    session: { type: 'string' },
    assigned: { type: 'boolean' },
    accepted: { type: 'boolean' },
    forget: { type: 'boolean' },
  } as const;
  const options = { ...settingOptions(), ...own };
  let { values } = parseArgs({ options });
  let assignment: WorkerAssignment | undefined;
  if (values.assigned || values.accepted) {
    assignment = await takeAssignment(values.accepted === true);
    // A rehearsal that hangs would keep the process, which is root's.
    if (!assignment) process.exit(0);
    Object.assign(process.env, assignment.env);
    ({ values } = parseArgs({ options, args: [...process.argv.slice(2), ...(assignment.args ?? [])] }));
  }
  if (values.help || values.version) {
    writeSync(1, values.help ? usage : `${versionText('ccapi-server')}\n`);
    return;
  }
  const read = () => readSettings(settingsFromOptions(values));
  const settings = read();
  const session = values.session as string | undefined;
  const uid = process.getuid?.() as number;
  const base = baseDirectory(settings, uid, process.env);
  const directory = prepareDirectory(userDirectory(settings.pathTemplate, base, uid), uid, session);
  if (values.forget) {
    await forgetUser(directory, uid);
    report('ok');
    return;
  }
  await serve(directory, { read, settings, session, userName: assignment?.name });
}

/** How a worker serves; `read` reads the settings anew. */
interface ServeOptions {
  read(): ReportedSettings;
  settings: ReportedSettings;
  session: string | undefined;
  userName: string | undefined;
}

/** Serves in a directory until the worker leaves, or another one is found there. */
async function serve(directory: string, { read, settings, session, userName }: ServeOptions): Promise<void> {
  const passed = takeListenFds();
  const log = openLog('ccapi-server', passed.length > 0 ? 'systemd' : 'syslog');
  const worker = new Worker(settings, log);
  process.on('SIGHUP', () => {
    try {
      worker.configure(read());
      log.info('settings reloaded');
    } catch (error) {
      log.error(`settings stay as they were: ${(error as Error).message}`);
    }
  });
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => worker.stop(signal));
  const login = session === NO_SESSION ? undefined : session;
  const vanishes = session !== undefined;
  const isServing = await worker.start(directory, { passed, vanishes, session: login, userName });
  // The launcher gives the same answer, whichever worker has won the directory.
  if (passed.length === 0) report('ok');
  if (isServing) worker.prepare();
  else {
    worker.discard();
    process.exit(0);
  }
}

/**
 * Waits for the launcher's line that names the user, and becomes that user: before this process is the user's, it reads
 * nothing else, and does nothing but a rehearsal in its own memory. Undefined where the launcher ends without a line. Where
 * systemd has accepted the connection, the launcher is told the pid, and sees by its end that this process has ended.
 */
async function takeAssignment(isAccepted: boolean): Promise<WorkerAssignment | undefined> {
  // Loaded now, so that the user does not wait for it later: koffi, and what Node loads at the first listen.
  libc();
  for (const name of ['node:net', 'node:cluster']) process.getBuiltinModule(name);
  let line: string;
  try {
    if (isAccepted) writeSync(1, `pid ${process.pid}\n`);
    if (hasInput(0) === false) await prepareAhead();
    line = readLine(0);
  } catch {
    // EPIPE, ECONNRESET: the launcher was killed.
    return undefined;
  }
  if (line === '') return undefined;
  const assignment: WorkerAssignment = JSON.parse(line);
  becomeUser(assignment);
  disableTracing();
  if (!isAccepted) {
    closeSync(0);
    openSync('/dev/null', 'r');
  }
  return assignment;
}

/** The first line of a descriptor, of {@link MAX_ASSIGNMENT} bytes at most; empty where it ends without a byte. */
function readLine(descriptor: number): string {
  const line = Buffer.alloc(MAX_ASSIGNMENT);
  let length = 0;
  while (length < line.length && !line.subarray(0, length).includes(NEWLINE)) {
    const read = readSync(descriptor, line, length, line.length - length, null);
    if (read === 0) break;
    length += read;
  }
  return line.toString('utf8', 0, length);
}

/** The directory to serve in: the user's, which has to be safe, or a login session's in that. */
function prepareDirectory(path: string, uid: number, session: string | undefined): string {
  const directory = checkPrivateDirectory(path, uid);
  checkLocal(directory);
  if (session === undefined) return directory;
  if (!isSessionName(session)) {
    throw new UsageError(`--session: ${JSON.stringify(session)} is no name of a session`);
  }
  const own = sessionDirectory(directory, session);
  mkdirSync(own, { recursive: true, mode: 0o700 });
  return checkPrivateDirectory(own, uid);
}

/** Tells the launcher how the start went, in one line on descriptor 1, and closes that. */
function report(line: string): void {
  try {
    writeSync(1, `${line}\n`);
  } catch {
    // It has not waited for it.
  }
  closeSync(1);
  openSync('/dev/null', 'w');
}

main().catch((error: Error) => {
  report(`error ${escapeText(error.message)}`.slice(0, MAX_REPORT));
  process.exit(1);
});
