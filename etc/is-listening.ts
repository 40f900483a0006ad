import { connect } from 'node:net';

/** Whether somebody listens on a UNIX socket; finding out is a connection, closed without a byte. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Any other error is one of somebody who is there, such as too long a queue before them.
    probe.once('error', ({ code }: NodeJS.ErrnoException) => resolve(code !== 'ENOENT' && code !== 'ECONNREFUSED'));
  });
}
