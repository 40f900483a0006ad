import type { Socket } from 'node:net';
import { FrameReader } from '../proto/frame.ts';

/** What answers the frames of one connection. */
export interface Session {
  /** Gives the reply to a frame, with its length word, once: at once or later. Throws where the framing is lost. */
  answer(frame: Buffer, reply: (frame: Buffer) => void): void;
  close(): void;
}

/** How many bytes of further requests are kept for a connection whose request has to wait. */
const MOST_WAITING = 1024 * 1024;

/**
 * Serves one connection, which has to be half-open: each frame is answered in its turn, and one that has to wait keeps
 * only those behind it waiting. While the peer does not read its replies nothing more is read from it, so that no more
 * than a socket's buffer is kept for it. While a request waits the socket is read on, or the peer's end would go
 * unnoticed; a peer that sends too much meanwhile is cut off. Where the framing is lost the connection is closed once
 * what came before is answered.
 */
export function serveConnection(socket: Socket, session: Session, onRequest: () => void): void {
  const reader = new FrameReader();
  let waiting: Buffer[] = [];
  let blocked = false;
  let ended = false;

  const answerNext = (frame: Buffer) => {
    let later = false;
    blocked = true;
    onRequest();
    try {
      session.answer(frame, (reply) => {
        blocked = false;
        socket.write(reply);
        // What waits behind it is another request, and may not happen in the middle of the one that brought this reply.
        if (later) queueMicrotask(answerWaiting);
      });
    } catch {
      socket.destroySoon();
    }
    later = true;
  };

  const answerWaiting = () => {
    if (socket.destroyed) return;
    let taken = 0;
    socket.cork();
    while (!blocked && taken < waiting.length && !socket.writableNeedDrain) answerNext(waiting[taken++] as Buffer);
    socket.uncork();
    waiting = waiting.slice(taken);
    if (blocked) {
      if (ended || tooMuch(waiting)) socket.destroy();
      else socket.resume();
    } else if (waiting.length > 0) socket.pause();
    else if (ended || reader.error) socket.end();
    else socket.resume();
  };

  socket.on('data', (chunk) => {
    waiting.push(...reader.push(chunk));
    answerWaiting();
  });
  socket.on('drain', answerWaiting);
  socket.on('end', () => {
    ended = true;
    answerWaiting();
  });
  // A peer that vanishes is nothing to report; 'close' follows and says all there is to say.
  socket.on('error', () => {});
  socket.on('close', () => session.close());
}

function tooMuch(waiting: Buffer[]): boolean {
  return waiting.reduce((total, frame) => total + frame.length, 0) > MOST_WAITING;
}
