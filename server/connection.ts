import type { Socket } from 'node:net';
import { FrameReader } from '../proto/frame.ts';

/** What answers the frames of one connection. */
export interface Session {
  /** The reply to a frame, with its length word. */
  answer(frame: Buffer): Buffer;
  close(): void;
}

/**
 * Serves one connection: each frame is answered in its turn. While the peer does not read its replies nothing more is
 * read from it, so that no more than a socket's buffer is kept for it. Where the framing is lost the connection is
 * closed once what came before it is answered.
 */
export function serveConnection(socket: Socket, session: Session, onRequest: () => void): void {
  const reader = new FrameReader();
  let waiting: Buffer[] = [];

  const answerWaiting = () => {
    let answered = 0;
    socket.cork();
    for (; answered < waiting.length && !socket.writableNeedDrain; answered++) {
      onRequest();
      socket.write(session.answer(waiting[answered] as Buffer));
    }
    socket.uncork();
    waiting = waiting.slice(answered);
    if (waiting.length > 0) socket.pause();
    else if (reader.error) socket.end();
    else socket.resume();
  };

  socket.on('data', (chunk) => {
    waiting.push(...reader.push(chunk));
    answerWaiting();
  });
  socket.on('drain', answerWaiting);
  // A peer that vanishes is nothing to report; 'close' follows and says all there is to say.
  socket.on('error', () => {});
  socket.on('close', () => session.close());
}
