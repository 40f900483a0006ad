import { existsSync, readFileSync } from 'node:fs';
import { Socket } from 'node:net';
import { clientDirectories, SOCKET_NAME, sessionDirectory } from '../../../etc/config/paths.ts';
import { settingsInForce, settingsReport } from '../../../etc/config/settings.ts';
import { isListening } from '../../../etc/host/is-listening.ts';
import { peerCredentials } from '../../../etc/host/peer-credentials.ts';
import { descriptorOf } from '../../../etc/host/socket-handle.ts';
import { ROOT_PORT } from '../../../proto/rendezvous.ts';
import { version } from '../../../proto/status.ts';
import { Locator } from '../../locator.ts';
import type { WorkerConnection } from '../../worker-connection.ts';
import { readStatus } from '../../worker-status.ts';
import { differences, readRunningSettings } from '../running-settings.ts';
import type { Finding, Patient } from './finding.ts';

const what = 'server';

export async function checkServer(patient: Patient): Promise<Finding[]> {
  let found: WorkerConnection;
  try {
    found = await new Locator({ env: patient.env }).find({ launch: true });
  } catch (error) {
    const left = await socketLeft(patient);
    const says = `${left === undefined ? '' : `that of ${left} has died; `}${(error as Error).message}`;
    return [{ what, fine: false, says, todo: 'ccapi path --explain' }];
  }
  const { path, socket } = found;
  // A program in between has spoken CCAPI by now, and answers nothing else.
  if (!(socket instanceof Socket)) {
    socket.destroy();
    return [{ what, fine: true, says: `${path} answers` }];
  }
  const pid = peerCredentials(descriptorOf(socket))?.pid;
  try {
    const status = await readStatus(found);
    patient.server = status;
    if (status.version === version)
      return [{ what, fine: true, says: `${path}, pid ${status.pid}, version ${version}` }];
    const says = `${path} is version ${status.version}, and this is ${version}`;
    return [{ what, fine: false, says, todo: 'ccapi stop' }];
  } catch (error) {
    patient.isSilent = true;
    return [unanswered(path, pid, error as Error)];
  }
}

/** Where a server has listened; one that leaves takes its socket away. */
async function socketLeft({ settings, uid, env }: Patient): Promise<string | undefined> {
  if (settings.server) return undefined;
  const { first, own } = clientDirectories(settings, uid, env);
  const { session } = new Locator({ env });
  const directories = own === undefined ? [first] : [first, own];
  for (const directory of directories) {
    const path = `${sessionDirectory(directory, session)}/${SOCKET_NAME}`;
    // Where that cannot be told, the error says more.
    if (existsSync(path) && !(await isListening(path).catch(() => true))) return path;
  }
  return undefined;
}

function unanswered(path: string, pid: number | undefined, error: Error): Finding {
  if (pid === undefined) return { what, fine: false, says: `${path}: ${error.message}`, todo: 'ccapi stop' };
  if (isStopped(pid)) {
    return { what, fine: false, says: `${path}: pid ${pid} is stopped by a signal`, todo: `kill -CONT ${pid}` };
  }
  const says = `${path}: pid ${pid} takes connections and does not answer: ${error.message}`;
  return { what, fine: false, says, todo: `kill ${pid}   and the next program starts another` };
}

/** Source: proc_pid_status(5). */
function isStopped(pid: number): boolean {
  try {
    return /^State:\s+[Tt]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/** What a program that runs has from files otherwise than they are now. Options and variables are meant to differ. */
export async function checkInForce({ env, settings, isSilent }: Patient): Promise<Finding[]> {
  if (isSilent) return [];
  const isOfFiles = ({ where }: { where: string }) => where === 'default' || where.startsWith('/');
  const here = settingsReport(settingsInForce({ env }));
  const found = differences(await readRunningSettings(settings.port ?? ROOT_PORT, env), here);
  return found
    .filter((other) => isOfFiles(other) && isOfFiles(here[other.key] as { where: string }))
    .map(({ program, key, value, where }) => ({
      what: 'settings',
      fine: false,
      says: `the ${program} that runs has ${key} = ${value}, from ${where}`,
      todo: program === 'server' ? 'ccapi stop' : 'see the system log, which says why it does not take the new ones',
    }));
}

export async function checkStorage({ server, settings }: Patient): Promise<Finding[]> {
  if (!server) return [];
  const what = 'tickets';
  if (server.keptIn !== undefined) return [{ what, fine: true, says: `kept in ${server.keptIn}` }];
  if (settings.persist === 'never') return [{ what, fine: true, says: 'in memory alone, as persist = never says' }];
  const says =
    'in memory alone, since the directory is on a disk: they are gone if the server ends; persist = always keeps them there';
  return [{ what, fine: true, says }];
}
