import { execFile } from 'node:child_process';

/** The only base that the unit knows. */
export const UNIT_BASE = '/run/ccapi';

/** How long systemd may take for a mount, in milliseconds. */
const DEADLINE = 10_000;

/**
 * Has systemd mount a file system of the user's own at `/run/ccapi/UID`, by `ccapi-space@UID.service`: this launcher may
 * mount nothing itself, and what it mounted would be seen by no other unit. Answers what went wrong, and never rejects.
 */
export function requestSpace(uid: number): Promise<Error | undefined> {
  const unit = `ccapi-space@${uid}.service`;
  const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' };
  return new Promise((resolve) => {
    execFile('systemctl', ['start', unit], { env, timeout: DEADLINE }, (error) => {
      resolve(error ? new Error(`${unit} could not be started; see journalctl -u ${unit}`) : undefined);
    });
  });
}
