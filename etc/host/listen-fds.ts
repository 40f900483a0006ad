import { fstatSync } from 'node:fs';
import { CCAPIError } from '../../proto/errors.ts';

/** The first that systemd passes, and how many are taken at the most. */
const FIRST = 3;
const MOST = 64;

/**
 * The descriptors of the sockets that systemd has passed to this very process; none where it was started otherwise. What
 * says so is taken out of the environment, so that no child believes it. Throws 202 where one is no socket.
 * Source: sd_listen_fds(3).
 */
export function takeListenFds(env: NodeJS.ProcessEnv = process.env): number[] {
  const { LISTEN_PID: pid, LISTEN_FDS: count = '' } = env;
  for (const name of ['LISTEN_PID', 'LISTEN_FDS', 'LISTEN_FDNAMES']) delete env[name];
  if (pid !== String(process.pid) || !/^[0-9]{1,3}$/.test(count)) return [];
  const descriptors = Array.from({ length: Math.min(Number(count), MOST) }, (_, i) => FIRST + i);
  for (const descriptor of descriptors) {
    if (!isSocket(descriptor))
      throw new CCAPIError('ccErrBadParam', `LISTEN_FDS: descriptor ${descriptor} is no socket`);
  }
  return descriptors;
}

function isSocket(descriptor: number): boolean {
  try {
    return fstatSync(descriptor).isSocket();
  } catch {
    return false;
  }
}
