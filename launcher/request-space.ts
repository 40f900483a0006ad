import { execFile } from 'node:child_process';

/** The only base that the unit knows. */
export const UNIT_BASE = '/run/ccapi';

/** How long systemd may take for a mount, in milliseconds. */
const DEADLINE = 10_000;

/** How many are asked for at once: each is a process, and a machine may have all of its users come at once. */
const AT_ONCE = 8;

let running = 0;
const waiting: (() => void)[] = [];

/**
 * Has systemd mount a file system of the user's own at `/run/ccapi/UID`, by `ccapi-space@UID.service`: this launcher may
 * mount nothing itself, and what it mounted would be seen by no other unit. Answers what went wrong, and never rejects.
 */
export async function requestSpace(uid: number): Promise<Error | undefined> {
  if (running < AT_ONCE) running++;
  else await new Promise<void>((resolve) => waiting.push(resolve));
  try {
    return await startUnit(uid);
  } finally {
    const next = waiting.shift();
    // It has the place of this one.
    if (next) next();
    else running--;
  }
}

function startUnit(uid: number): Promise<Error | undefined> {
  const unit = `ccapi-space@${uid}.service`;
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  return new Promise((resolve) => {
    execFile('systemctl', ['start', unit], { env, timeout: DEADLINE }, (error) => {
      resolve(error ? new Error(`${unit} could not be started; see journalctl -u ${unit}`) : undefined);
    });
  });
}
