import { connect } from 'node:net';
import { WORKER_SOCKET } from '../proto/assignment.ts';
import { passedOn } from './spawn-worker.ts';
import { type Launched, WaitingWorker } from './waiting-worker.ts';

/**
 * Has systemd start a worker in a unit of its own, with its own limits: `ccapi-server.socket` starts one for each
 * connection, which stays while the worker runs. Only root can connect there. What a child would have on its command line
 * and in its environment is told with its user. Source: systemd.socket(5), Accept=yes.
 */
export function requestWorker(args: readonly string[]): WaitingWorker {
  const socket = connect({ path: WORKER_SOCKET, allowHalfOpen: true });
  const launched: Launched = {
    input: socket,
    output: socket,
    pid: undefined,
    exited: new Promise((resolve) => {
      socket.once('close', () => resolve());
      socket.once('end', () => socket.destroy());
    }),
  };
  socket.once('error', (error: NodeJS.ErrnoException) => {
    error.message = `${WORKER_SOCKET} does not answer (${error.code}): systemctl start ccapi-server.socket`;
  });
  const env = passedOn(process.env) as Record<string, string>;
  return new WaitingWorker(launched, args, { args, env });
}
