import { connect } from 'node:net';

/**
 * What connecting comes to where no process listens: there is no such name, or none that can be had (a loop of links, too
 * long a name), there is something else than a socket, or one without a process, which may be ending just now.
 */
const noListener: ReadonlySet<string> = new Set([
  'ENOENT',
  'ENOTDIR',
  'ELOOP',
  'ENAMETOOLONG',
  'ECONNREFUSED',
  'ECONNRESET',
]);

/** What it comes to where one does: the queue before it is full, or it is a socket of another kind, as for datagrams. */
const listener: ReadonlySet<string> = new Set(['EAGAIN', 'EPROTOTYPE']);

/** Whether an error of connecting to a UNIX socket says that no process listens there. */
export function meansNoListener(error: unknown): boolean {
  return noListener.has(codeOf(error));
}

/**
 * Whether a process has a UNIX socket; finding out is a connection, closed without a byte. Rejects with the system's error
 * where that does not tell, as where the socket is closed to this process (EACCES), or no descriptor is left (EMFILE).
 */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', (error) => {
      if (meansNoListener(error)) resolve(false);
      else if (listener.has(codeOf(error))) resolve(true);
      else reject(error);
    });
  });
}

function codeOf(error: unknown): string {
  return (error as NodeJS.ErrnoException).code ?? '';
}
