import { Socket } from 'node:net';
import { takeHandle } from '../etc/host/socket-handle.ts';

/** All connections receive into it, one after the other. */
const received = Buffer.alloc(65_536);

/** A descriptor, or the handle of a socket of Node's. */
type Source = { fd: number } | { handle: unknown };

/**
 * A connection, half-open and read from at once. Bytes are given to `deliver` as they arrive, and overwritten when that returns:
 * Node's own buffers come and go with each read, and the keys of a request would stay in memory that is free.
 */
export class InputSocket extends Socket {
  /** Takes the bytes that have arrived; it may not keep a view of them. */
  deliver: (bytes: Buffer) => void = () => {};

  private constructor(source: Source) {
    const callback = (length: number): boolean => {
      this.#receive(length);
      return true;
    };
    const both = { readable: true, writable: true, allowHalfOpen: true };
    const options: object = { ...source, ...both, onread: { buffer: received, callback } };
    super(options);
  }

  /** Throws where the descriptor is none of a stream. */
  static ofDescriptor(fd: number): InputSocket {
    return new InputSocket({ fd });
  }

  /** Goes on with a socket that a server has accepted and has not read from; that one is of no use any more. */
  static ofAccepted(socket: Socket): InputSocket {
    return new InputSocket({ handle: takeHandle(socket) });
  }

  #receive(length: number): void {
    try {
      this.deliver(received.subarray(0, length));
    } finally {
      received.fill(0, 0, length);
    }
  }
}
