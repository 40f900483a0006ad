import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { clientDirectories, FRONT_DOOR } from '../../../etc/config/paths.ts';
import { withoutKoffi } from '../../../etc/host/libc.ts';
import { listenerUids } from '../../../etc/host/listener-owner.ts';
import { hasPeerCredentials } from '../../../etc/host/peer-credentials.ts';
import { placeFaults } from '../../../etc/host/place-faults.ts';
import { checkPrivateDirectory } from '../../../etc/host/private-directory.ts';
import { uidOutside } from '../../../etc/host/user-namespace.ts';
import { NO_LAUNCHER, RendezvousError, ROOT_PORT, USER_PORT } from '../../../proto/rendezvous.ts';
import { askPort } from '../../launcher-client.ts';
import { Machine } from '../../launchers.ts';
import { Locator } from '../../locator.ts';
import { type Finding, LOG, type Patient } from './finding.ts';

/** koffi, and for root the place of the programs, which every user runs. */
export async function checkInstallation({ uid }: Patient): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (process.platform === 'linux' && !hasPeerCredentials()) {
    const todo = 'install it once more, with what is optional: npm install -g --include=optional ccapi-*.tgz';
    findings.push({ what: 'system calls', fine: false, says: withoutKoffi, todo });
  }
  const server = join(__dirname, 'ccapi-server.js');
  // A trial by root for itself is no set-up of a machine.
  if (uid !== 0 || !existsSync(FRONT_DOOR) || uidOutside() !== undefined) return findings;
  const todo = "install Node and ccapi below /usr: the distribution's nodejs, and npm install -g --prefix /usr/local";
  for (const says of [process.execPath, server].flatMap(placeFaults)) {
    findings.push({ what: 'installation', fine: false, says, todo });
  }
  return findings;
}

/** In a user namespace neither the port nor root's directories can be used: their owner has no uid there. */
export async function checkNamespace({ uid }: Patient): Promise<Finding[]> {
  const outside = uidOutside();
  if (outside === undefined) return [];
  const says = `uid ${uid} here is not that outside (the first is ${outside} there): your server is reached by the front door`;
  return [{ what: 'user namespace', fine: true, says }];
}

export async function checkDirectories({ env, uid, settings }: Patient): Promise<Finding[]> {
  if (uidOutside() !== undefined) return [];
  const { first, own } = clientDirectories(settings, uid, env);
  const findings = [checkDirectory(first, uid)];
  // Where root's launcher serves, what another user has put in the place of a private directory does no harm.
  if (own !== undefined && !new Machine(first, settings.port).serves()) findings.push(checkDirectory(own, uid));
  return findings;
}

function checkDirectory(path: string, uid: number): Finding {
  const what = `directory ${path}`;
  if (!existsSync(path)) return { what, fine: true, says: 'not made yet' };
  try {
    checkPrivateDirectory(path, uid);
    return { what, fine: true, says: 'yours alone' };
  } catch (error) {
    const says = (error as Error).message;
    return { what, fine: false, says, todo: `look what it is, and remove it: ls -ld ${path} ${dirname(path)}` };
  }
}

/** What to do about each refusal of a launcher. */
const cures: Record<string, string> = {
  denied: 'as root: change allow and deny in krb5.conf, [ccapi], and try them by: ccapi config --check',
  'unknown-uid': 'make an account for it, or as root in krb5.conf, [ccapi]: unknown_uids = allow',
  'not-yours': 'ask as the user itself',
  unidentified: `as root: see ${LOG}`,
  config: 'as root: ccapi config --check',
  session: 'end another login session, or as root in krb5.conf, [ccapi]: raise max_sessions',
  timeout: `try again; as root: see ${LOG}`,
  worker: `as root: see ${LOG}`,
  internal: `as root: see ${LOG}`,
};

export async function checkLauncher(patient: Patient): Promise<Finding[]> {
  const { settings, env, uid } = patient;
  if (settings.server || uidOutside() !== undefined) return [];
  const port = settings.port ?? ROOT_PORT;
  const what = `launcher on port ${port}`;
  try {
    const path = await askPort(port, { uid, session: new Locator({ env }).session });
    if (path !== undefined) return [{ what, fine: true, says: `answers ${path}` }];
    return [settings.autostart ? noLauncher(what, patient) : noneMayStart(what)];
  } catch (error) {
    const says = (error as Error).message;
    if (!(error instanceof RendezvousError) || error.code === NO_LAUNCHER) {
      return [{ what, fine: false, says, todo: `see who listens: ss -ltnp sport = :${port}` }];
    }
    patient.refusal = error;
    return [{ what, fine: false, says, todo: cures[error.code] ?? `look what it is: ls -ld ${pathIn(says)}` }];
  }
}

/** The path that a message is about. */
function pathIn(message: string): string {
  return /\/[^\s:]+/.exec(message)?.[0] ?? '/run/ccapi';
}

function noneMayStart(what: string): Finding {
  const todo = 'as root: ccapi-launcher setup   or in krb5.conf, [ccapi]: autostart = yes';
  return { what, fine: false, says: 'nothing listens there, and autostart = no', todo };
}

/** A launcher by hand, as `npm start` starts it, listens on a port that any user could have. */
function noLauncher(what: string, { settings, uid }: Patient): Finding {
  const owner = settings.port === undefined ? listenerUids('127.0.0.1', USER_PORT)?.[0] : undefined;
  if (owner === undefined) return { what, fine: true, says: 'none; your programs start one of their own' };
  const isAsked = owner === uid || owner === 0;
  const says = `none; that of uid ${owner} on port ${USER_PORT} ${isAsked ? 'is asked' : 'is not asked'}`;
  return { what, fine: true, says };
}
