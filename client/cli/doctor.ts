import { existsSync } from 'node:fs';
import { Socket } from 'node:net';
import { dirname } from 'node:path';
import { parseArgs } from 'node:util';
import { krb5ConfPaths, readSection } from '../../etc/config/krb5-conf.ts';
import { clientDirectories, FRONT_DOOR } from '../../etc/config/paths.ts';
import { loadSettings, type Settings, settingsInForce, settingsReport } from '../../etc/config/settings.ts';
import { withoutKoffi } from '../../etc/host/libc.ts';
import { hasPeerCredentials } from '../../etc/host/peer-credentials.ts';
import { checkPrivateDirectory } from '../../etc/host/private-directory.ts';
import { CCAPIError } from '../../proto/errors.ts';
import { NO_LAUNCHER, RendezvousError } from '../../proto/rendezvous.ts';
import type { WorkerStatus } from '../../proto/status.ts';
import { version } from '../../proto/status.ts';
import { connectToPath } from '../connect-to-path.ts';
import { askPort } from '../launcher-client.ts';
import { Machine } from '../launchers.ts';
import { Locator } from '../locator.ts';
import { readStatus } from '../worker-status.ts';
import { type Command, coloured, type Options, print, printJSON } from './command.ts';

/** What was looked at, and what it came to. */
interface Finding {
  what: string;
  /** Nothing is to be done about it. */
  fine: boolean;
  says: string;
  /** The line to type or to write, where it is not fine. */
  todo?: string;
}

/** What the checks share: the settings, and the server once one has been reached. */
interface Patient {
  env: NodeJS.ProcessEnv;
  uid: number;
  settings: Settings;
  server?: WorkerStatus;
}

const options = { json: { type: 'boolean', summary: 'as JSON' } } as const satisfies Options;

export const doctor: Command = {
  synopsis: ['[--json]'],
  about: `Walks the way that a request takes, from krb5.conf to the server and back through the door of stock Kerberos programs, and
says of each step that it is fine, or what is wrong and what to do. Exits with 1 where anything is wrong.`,
  options,
  example: 'ccapi doctor',

  async run(args) {
    const { values } = parseArgs({ args, options });
    const findings = await examine(process.env);
    if (values.json) printJSON(findings);
    for (const { what, fine, says, todo } of values.json ? [] : findings) {
      print(fine ? coloured('green', 'fine ') : coloured('red', 'WRONG'), `  ${what}: ${says}`);
      if (todo !== undefined) print(`         ${todo}`);
    }
    if (findings.some(({ fine }) => !fine)) process.exitCode = 1;
  },
};

async function examine(env: NodeJS.ProcessEnv): Promise<Finding[]> {
  let settings: Settings;
  try {
    settings = loadSettings({ env });
  } catch (error) {
    return [
      { what: 'settings', fine: false, says: (error as Error).message, todo: 'correct it; ccapi config shows all' },
    ];
  }
  const patient: Patient = { env, uid: process.geteuid?.() as number, settings };
  const findings: Finding[] = [{ what: 'settings', fine: true, says: krb5ConfPaths(env).join(', ') }];
  for (const check of checks) findings.push(...(await check(patient)));
  return findings;
}

const checks = [systemCalls, directories, launcher, server, inForce, checkStorage, libkrb5, sssd, door, checkExposure];

async function systemCalls(): Promise<Finding[]> {
  if (process.platform !== 'linux' || hasPeerCredentials()) return [];
  const todo = 'install it once more, with what is optional: npm install -g --include=optional ccapi-*.tgz';
  return [{ what: 'system calls', fine: false, says: withoutKoffi, todo }];
}

async function directories({ env, uid, settings }: Patient): Promise<Finding[]> {
  const { first, own } = clientDirectories(settings, uid, env);
  const findings = [directory(first, uid)];
  // Where root's launcher serves, what another user has put in the place of a private directory does no harm.
  if (own !== undefined && !new Machine(first, settings.port).serves()) findings.push(directory(own, uid));
  return findings;
}

function directory(path: string, uid: number): Finding {
  const what = `directory ${path}`;
  if (!existsSync(path)) return { what, fine: true, says: 'not made yet' };
  try {
    checkPrivateDirectory(path, uid);
    return { what, fine: true, says: 'yours alone' };
  } catch (error) {
    return {
      what,
      fine: false,
      says: (error as Error).message,
      todo: `look what it is, and remove it: ls -ld ${path}`,
    };
  }
}

async function launcher({ uid, settings, env }: Patient): Promise<Finding[]> {
  if (settings.server) return [];
  const port = settings.port ?? 789;
  const what = `launcher on port ${port}`;
  try {
    const session = new Locator({ env }).session;
    const path = await askPort(port, { uid, session });
    if (path !== undefined) return [{ what, fine: true, says: `answers ${path}` }];
    if (settings.autostart) return [{ what, fine: true, says: 'none; your programs start one of their own' }];
    const todo = 'as root: ccapi-launcher setup';
    return [{ what, fine: false, says: 'nothing listens there, and autostart = no', todo }];
  } catch (error) {
    const says = (error as Error).message;
    const isOurs = error instanceof RendezvousError && error.code !== NO_LAUNCHER;
    const todo = isOurs
      ? 'see the system log, and allow, deny and unknown_uids in krb5.conf'
      : `see who listens: ss -ltnp sport = :${port}`;
    return [{ what, fine: false, says, todo }];
  }
}

async function server(patient: Patient): Promise<Finding[]> {
  const what = 'server';
  const locator = new Locator({ env: patient.env });
  try {
    const found = await locator.find({ launch: true });
    const { path, socket } = found;
    // A program in between has spoken CCAPI by now, and answers nothing else.
    if (!(socket instanceof Socket)) {
      socket.destroy();
      return [{ what, fine: true, says: `${path} answers` }];
    }
    const status = await readStatus(found);
    patient.server = status;
    if (status.version === version)
      return [{ what, fine: true, says: `${path}, pid ${status.pid}, version ${version}` }];
    const says = `${path} is version ${status.version}, and this is ${version}`;
    return [{ what, fine: false, says, todo: 'ccapi stop' }];
  } catch (error) {
    return [{ what, fine: false, says: (error as Error).message, todo: 'ccapi path --explain' }];
  }
}

/** What a program that runs has from files otherwise than they are now. Options and variables are meant to differ. */
async function inForce({ env, settings }: Patient): Promise<Finding[]> {
  const { differences, readRunningSettings } = await import('./running-settings.ts');
  const isOfFiles = ({ where }: { where: string }) => where === 'default' || where.startsWith('/');
  const here = settingsReport(settingsInForce({ env }));
  const found = differences(await readRunningSettings(settings.port ?? 789, env), here);
  return found
    .filter((other) => isOfFiles(other) && isOfFiles(here[other.key] as { where: string }))
    .map(({ program, key, value, where }) => ({
      what: 'settings',
      fine: false,
      says: `the ${program} that runs has ${key} = ${value}, from ${where}`,
      todo: program === 'server' ? 'ccapi stop' : 'see the system log, which says why it does not take the new ones',
    }));
}

/** No fault of the user's: it does not count as wrong. */
async function checkExposure({ env, uid, settings }: Patient): Promise<Finding[]> {
  const { findExposures } = await import('./exposure.ts');
  const { first } = clientDirectories(settings, uid, env);
  return findExposures(dirname(first)).map((exposure) => ({ ...exposure, fine: true }));
}

async function checkStorage({ server, settings }: Patient): Promise<Finding[]> {
  if (!server) return [];
  const what = 'tickets';
  if (server.keptIn !== undefined) return [{ what, fine: true, says: `kept in ${server.keptIn}` }];
  if (settings.persist === 'never') return [{ what, fine: true, says: 'in memory alone, as persist = never says' }];
  const says = 'in memory alone, since the directory is on a disk: they are gone if the server ends';
  return [{ what, fine: true, says }];
}

async function libkrb5({ env }: Patient): Promise<Finding[]> {
  const what = 'stock programs';
  const inForce = env.KRB5CCNAME;
  if (inForce !== undefined && !inForce.startsWith('KCM:')) {
    const says = `KRB5CCNAME=${inForce} has them keep their tickets elsewhere`;
    return [{ what, fine: false, says, todo: 'unset KRB5CCNAME' }];
  }
  const configured = libdefault(env, 'default_ccache_name');
  if (inForce !== undefined || configured?.startsWith('KCM:')) return [{ what, fine: true, says: 'use KCM:' }];
  const says = configured === undefined ? 'keep their tickets in files' : `keep their tickets in ${configured}`;
  const todo = 'as root: ccapi-launcher setup; for yourself: ccapi setup; for one shell: eval "$(ccapi env)"';
  return [{ what, fine: false, says, todo }];
}

/** Read by root alone, as sssd's own file may be. */
async function sssd(): Promise<Finding[]> {
  const { foreignCCacheTemplates } = await import('../../etc/config/sssd-conf.ts');
  return foreignCCacheTemplates().map(({ file, section, value }) => ({
    what: 'logins by sssd',
    fine: false,
    says: `${file}: [${section}] krb5_ccname_template = ${value} has them keep their tickets elsewhere`,
    todo: 'take that line out, and restart sssd; krb5.conf then says where tickets go',
  }));
}

async function door({ env, uid, server }: Patient): Promise<Finding[]> {
  const path = libdefault(env, 'kcm_socket') ?? FRONT_DOOR;
  const what = `KCM at ${path}`;
  try {
    const answered = await readStatus(await connectToPath(path, uid));
    if (!server || answered.pid === server.pid) return [{ what, fine: true, says: `leads to pid ${answered.pid}` }];
    return [{ what, fine: false, says: `leads to pid ${answered.pid}, which is another server`, todo: 'ccapi stop' }];
  } catch (error) {
    if (CCAPIError.is(error, 'ccErrServerInsecure')) {
      return [{ what, fine: false, says: error.message, todo: `look what it is: ls -ld ${path}` }];
    }
    const cause = (error as Error).cause as NodeJS.ErrnoException | undefined;
    const code = cause?.code ?? (error as NodeJS.ErrnoException).code;
    if (code === undefined) {
      const todo = 'if it is sssd-kcm, ccapi-launcher setup takes the place over from it';
      return [{ what, fine: false, says: 'what answers there is not ours', todo }];
    }
    const todo = 'as root: ccapi-launcher setup; for yourself: ccapi setup, or ccapi exec -- COMMAND';
    return [
      { what, fine: false, says: code === 'EACCES' ? 'you may not connect to it' : 'no server listens there', todo },
    ];
  }
}

function libdefault(env: NodeJS.ProcessEnv, name: string): string | undefined {
  return readSection(krb5ConfPaths(env), 'libdefaults').find(({ key }) => key === name)?.value;
}
