import type { Socket } from 'node:net';
import { pauseHandle, resumeHandle } from '../etc/host/socket-handle.ts';

/**
 * How much is read behind the line, in bytes: what a client may have sent before it reads the answer, which a reset would
 * take from it. Linux keeps up to 4 MiB of it for the sender (tcp(7), tcp_wmem).
 */
const MOST = 4 << 20;

/** The peers of which something is to be read next, the one that has waited longest first. */
const waiting = new Set<Socket>();

/**
 * Reads and drops what a peer still sends behind its line, since unread it would cost the peer the reply; a peer that sends
 * much more than a line is cut off. In each turn of the event loop one peer is read of: Node accepts one connection in a
 * turn, so that what is read of all who send makes each new connection wait as often as there are others before it.
 */
export function dropSurplus(socket: Socket): void {
  let surplus = 0;
  socket.on('data', (chunk: Buffer) => {
    surplus += chunk.length;
    if (surplus > MOST) socket.destroy();
    else waitForTurn(socket);
  });
  resume(socket);
}

function waitForTurn(socket: Socket): void {
  pauseHandle(socket);
  if (waiting.size === 0) setImmediate(nextTurn);
  waiting.add(socket);
}

function nextTurn(): void {
  const [socket] = waiting;
  if (!socket) return;
  waiting.delete(socket);
  resume(socket);
  if (waiting.size > 0) setImmediate(nextTurn);
}

function resume(socket: Socket): void {
  socket.resume();
  resumeHandle(socket);
}
