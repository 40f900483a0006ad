import type { Socket } from 'node:net';
import { isHungUp } from '../etc/host/fd-passing.ts';
import { descriptorOf } from '../etc/host/socket-handle.ts';

/** How many of those that have waited longest are looked at when another comes. */
const LOOKS = 2;

/**
 * Connections of which nothing is read while they wait for their worker. No event tells that the client of one has gone, and a
 * client that goes and comes would leave one behind each time: so each newcomer has some of the others looked at. What such a
 * client has asked for is not done: it was never acknowledged.
 */
export class WaitingConnections {
  /** Those that were not looked at for longest come first. */
  readonly #waiting = new Set<Socket>();

  /** How many wait, for tests. */
  get size(): number {
    return this.#waiting.size;
  }

  /** Resolves as `wait` does. The connection may be destroyed by then, if its client has gone. */
  async during<T>(connection: Socket, wait: Promise<T>): Promise<T> {
    this.#endAbandoned();
    this.#waiting.add(connection);
    try {
      return await wait;
    } finally {
      this.#waiting.delete(connection);
    }
  }

  #endAbandoned(): void {
    for (let looks = 0; looks < LOOKS; looks++) {
      const [connection] = this.#waiting;
      if (!connection) return;
      this.#waiting.delete(connection);
      if (isHungUp(descriptorOf(connection))) connection.destroy();
      else this.#waiting.add(connection);
    }
  }
}
