import type { Socket } from 'node:net';
import { FRONT_DOOR } from '../../../etc/config/paths.ts';
import { describePeer, peerCredentials } from '../../../etc/host/peer-credentials.ts';
import { descriptorOf } from '../../../etc/host/socket-handle.ts';
import { askSystemctl, isSystemdHere } from '../../../etc/host/systemctl.ts';
import { CCAPIError } from '../../../proto/errors.ts';
import { connectToDoor } from '../../connect-to-path.ts';
import { readStatus } from '../../worker-status.ts';
import { type Finding, libdefault, type Patient } from './finding.ts';

/** The door of stock Kerberos programs, and who holds it. */
export async function checkFrontDoor(patient: Patient): Promise<Finding[]> {
  const { env, uid, server, isSilent } = patient;
  const path = libdefault(env, 'kcm_socket') ?? FRONT_DOOR;
  const what = `KCM at ${path}`;
  let holder: string | undefined;
  try {
    const found = await connectToDoor(path, uid);
    if (isSilent) {
      found.socket.destroy();
      return [{ what, fine: true, says: 'answers no sooner than the server' }];
    }
    holder = describeHolder(found.socket as Socket);
    const { pid } = await readStatus(found);
    if (!server || pid === server.pid) return [{ what, fine: true, says: `leads to pid ${pid}` }];
    return [{ what, fine: false, says: `leads to pid ${pid}, which is another server`, todo: 'ccapi stop' }];
  } catch (error) {
    return [{ what, fine: false, ...explain(error as Error, path, holder, patient) }];
  }
}

function explain(
  error: Error,
  path: string,
  holder: string | undefined,
  { refusal }: Patient,
): Pick<Finding, 'says' | 'todo'> {
  if (CCAPIError.is(error, 'ccErrServerInsecure')) {
    return { says: error.message, todo: `look what it is: ls -ld ${path}` };
  }
  if (holder !== undefined && refusal) {
    return { says: 'closes the connection, since the launcher refuses you', todo: 'see the launcher above' };
  }
  if (holder !== undefined) return { says: `what answers there is not ours: ${holder}`, todo: cureFor(holder, path) };
  const { code } = (error.cause ?? error) as NodeJS.ErrnoException;
  const todo = 'as root: ccapi-launcher setup; for yourself: ccapi setup, or ccapi exec -- COMMAND';
  return { says: code === 'EACCES' ? 'you may not connect to it' : 'no server listens there', todo };
}

/** Where systemd made the socket, the kernel names systemd. */
function cureFor(holder: string, path: string): string {
  if (/\((sssd_kcm|systemd)\)/.test(holder) && isSSSDActive()) {
    return 'as root: ccapi-launcher setup, which takes the place over from sssd-kcm';
  }
  if (holder.includes('(kcm)'))
    return "as root: stop and disable the service of Heimdal's kcm, then ccapi-launcher setup";
  return `see who holds it: ss -xlp src ${path}`;
}

function isSSSDActive(): boolean {
  return isSystemdHere() && askSystemctl('is-active', 'sssd-kcm.socket') === 'active';
}

function describeHolder(socket: Socket): string {
  const peer = peerCredentials(descriptorOf(socket));
  return peer ? describePeer(peer) : 'the kernel does not say who';
}
