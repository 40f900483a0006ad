import { linkSync, renameSync, rmSync } from 'node:fs';
import type { Server } from 'node:net';
import { LISTEN_BACKLOG, MAX_SOCKET_PATH } from '../etc/base-directory.ts';
import { CCAPIError } from '../proto/error.ts';

/**
 * A socket with two names in the user's directory: `S.ccapi`, by which it is known, and one of the worker's own. It
 * listens under its own, and gets the known one once the worker may serve: that never leads to a socket on which nobody
 * listens yet.
 */
export class PublicSocket {
  /** The known name, also while another worker has it. */
  readonly path: string;
  readonly #own: string;
  #isPublished = false;

  private constructor(directory: string, name: string, id: string) {
    this.path = `${directory}/${name}`;
    this.#own = `${directory}/${ownName(name, id)}`;
  }

  /** Makes a server listen in a directory, not under its known name yet; `id` tells the worker from any other. */
  static async listen(server: Server, directory: string, name: string, id: string): Promise<PublicSocket> {
    const socket = new PublicSocket(directory, name, id);
    if (Buffer.byteLength(socket.#own) > MAX_SOCKET_PATH) {
      throw new CCAPIError('ccErrBadParam', `${socket.#own} is longer than a socket's path may be: 107 bytes`);
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: socket.#own, backlog: LISTEN_BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return socket;
  }

  /** Takes the known name, from whichever worker had it before. Only the directory's owner may. */
  publish(): void {
    const other = `${this.#own}.p`;
    linkSync(this.#own, other);
    renameSync(other, this.path);
    this.#isPublished = true;
  }

  /** Gives the known name up and stays reachable for those who are on their way. */
  withdraw(): void {
    if (this.#isPublished) rmSync(this.path, { force: true });
    this.#isPublished = false;
  }

  /** Leaves nothing behind. */
  remove(): void {
    this.withdraw();
    rmSync(this.#own, { force: true });
  }
}

/** The name of its own that the worker `id` gives a socket which is known by `name`: `S.<id>` for `S.ccapi`. */
export function ownName(name: string, id: string): string {
  return `${name.slice(0, name.indexOf('.'))}.${id}`;
}
