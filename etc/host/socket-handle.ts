import type { Socket } from 'node:net';

/** Node's internal handle of a socket, which its types do not have. */
interface Handle {
  fd: number;
  reading: boolean;
  readStart(): void;
  readStop(): void;
}

function handleOf(socket: Socket): Handle | null {
  return (socket as unknown as { _handle: Handle | null })._handle;
}

/** The descriptor of a socket; the kernel's questions are asked of descriptors. -1, which is none, once it is closed. */
export function descriptorOf(socket: Socket): number {
  return handleOf(socket)?.fd ?? -1;
}

/** Takes the handle out of a socket, which is closed without it; another can go on with it. */
export function takeHandle(socket: Socket): unknown {
  const handle = handleOf(socket);
  (socket as unknown as { _handle: Handle | null })._handle = null;
  socket.destroy();
  return handle;
}

/**
 * Has nothing more read from a socket, at once: `pause` alone reads on until its buffer is full. A stream that has just given
 * something out would begin again by itself, and so goes on believing that it reads.
 */
export function pauseHandle(socket: Socket): void {
  const handle = handleOf(socket);
  socket.pause();
  if (!handle) return;
  handle.reading = true;
  handle.readStop();
}

/** Undoes {@link pauseHandle}; `resume` does not, since the stream believes that it reads. */
export function resumeHandle(socket: Socket): void {
  const handle = handleOf(socket);
  if (!handle) return;
  handle.reading = true;
  handle.readStart();
}
