import { connect } from 'node:net';

/** What connecting comes to where nobody listens: no more, not yet, or, as one that is being killed, just not any more. */
const nobodyThere: ReadonlySet<string> = new Set(['ENOENT', 'ENOTDIR', 'ECONNREFUSED', 'ECONNRESET']);

/** Whether an error of connecting to a UNIX socket says that nobody listens there. */
export function saysNobodyListens(error: unknown): boolean {
  return nobodyThere.has((error as NodeJS.ErrnoException).code ?? '');
}

/** Whether somebody listens on a UNIX socket; finding out is a connection, closed without a byte. */
export function isListening(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = connect(path);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    // Any other error is one of somebody who is there, such as too long a queue before them.
    probe.once('error', (error) => resolve(!saysNobodyListens(error)));
  });
}
