import { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { monotonic } from '../etc/host/monotonic.ts';
import { peerCredentials } from '../etc/host/peer-credentials.ts';
import { commandLineOf, isServerCommand } from '../etc/host/processes.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';
import { FrameReader } from '../proto/framing.ts';
import { STATUS_REQUEST, type WorkerStatus } from '../proto/status.ts';
import { Writer } from '../proto/writer.ts';
import type { WorkerConnection } from './worker-connection.ts';

/** How long it may take to say so, in milliseconds. */
const STATUS_DEADLINE = 5000;

/** How long a process may take from its last connection to its end, and how often it is looked at, in milliseconds. */
const EXIT_DEADLINE = 5000;
const LOOK_AGAIN = 5;

/** How the worker at the other end is; rejects where what is there does not say. The connection is gone then. */
export function readStatus({ socket }: WorkerConnection): Promise<WorkerStatus> {
  return new Promise((resolve, reject) => {
    const deadline = setTimeout(() => socket.destroy(), STATUS_DEADLINE);
    const reader = new FrameReader();
    socket.on('data', (chunk: Buffer) => {
      const [frame] = reader.push(chunk);
      if (!frame) return;
      socket.destroy();
      try {
        resolve(JSON.parse(frame.toString()));
      } catch {
        reject(new Error('what answers is no server of ours'));
      }
    });
    socket.once('error', reject);
    socket.once('close', () => {
      clearTimeout(deadline);
      reject(new Error('the server does not say how it is; it may be an older one'));
    });
    socket.write(new Writer().u32(STATUS_REQUEST.length).bytes(Buffer.from(STATUS_REQUEST)).finish());
    socket.resume();
  });
}

/**
 * Has the worker at the other end finish what it was asked and leave, and waits until it has; false where that is no
 * process of ours on this host.
 */
export async function waitForExit({ socket }: WorkerConnection): Promise<boolean> {
  const pid = socket instanceof Socket ? peerCredentials(descriptorOf(socket))?.pid : undefined;
  if (pid === undefined || !isServer(pid)) {
    socket.destroy();
    return false;
  }
  const gone = new Promise((resolve) => socket.once('close', resolve));
  process.kill(pid, 'SIGTERM');
  socket.resume();
  await gone;
  // Its connections end a moment before the process does.
  for (const deadline = monotonic() + EXIT_DEADLINE; isServer(pid) && monotonic() < deadline; ) await delay(LOOK_AGAIN);
  return !isServer(pid);
}

/** The kernel names the maker of the socket, which may be a service manager. */
function isServer(pid: number): boolean {
  return isServerCommand(commandLineOf(pid));
}
