import { execFile } from 'node:child_process';
import { writeClientKrb5Conf } from '../etc/config/client-krb5-conf.ts';

/** How long a KDC may take, in milliseconds. */
const DEADLINE = 60_000;

/**
 * Has the system's kinit renew the ticket-granting ticket of a ccache of the worker behind this socket. Rejects with
 * what kinit says, in one line.
 */
export function renewByKinit(socket: string, name: string, signal: AbortSignal): Promise<void> {
  const { PATH } = process.env;
  const options = {
    env: { PATH, KRB5_CONFIG: writeClientKrb5Conf(socket, process.env), LC_ALL: 'C' },
    cwd: '/',
    timeout: DEADLINE,
    signal,
  };
  return new Promise((resolve, reject) => {
    const kinit = execFile('kinit', ['-R', '-c', `KCM:${name}`], options, (error, _, stderr) => {
      if (!error) resolve();
      else if (error.code === 'ENOENT') reject(new Error(`there is no kinit in ${PATH}`));
      else
        reject(new Error(error.killed ? 'kinit took too long' : stderr.trim().replaceAll('\n', ' ') || error.message));
    });
    kinit.stdin?.end();
  });
}
