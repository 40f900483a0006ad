import { linkSync, renameSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { MAX_SOCKET_PATH, SOCKET_NAME } from '../etc/base-directory.ts';
import { CCAPIError } from '../proto/error.ts';

/**
 * The name under which clients find a worker, `S.ccapi`. A worker listens under a name of its own, and gives its socket
 * the public one once it may serve: that name never leads to a socket on which nobody listens yet.
 */
export class PublicSocket {
  /** What tells this worker from any other. */
  readonly id: string;
  readonly #public: string;
  readonly #own: string;
  #isPublished = false;

  private constructor(directory: string) {
    const unique = (process.hrtime.bigint() % 36n ** 4n).toString(36);
    this.id = `${process.pid.toString(36)}.${unique}`;
    this.#public = `${directory}/${SOCKET_NAME}`;
    this.#own = `${directory}/S.${this.id}`;
  }

  /** Makes a server listen in a directory, under no public name yet. */
  static async listen(server: Server, directory: string): Promise<PublicSocket> {
    const socket = new PublicSocket(directory);
    if (Buffer.byteLength(socket.#own) > MAX_SOCKET_PATH) {
      throw new CCAPIError('ccErrBadParam', `${socket.#own} is longer than a socket's path may be: 107 bytes`);
    }
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(socket.#own, () => {
        server.off('error', reject);
        resolve();
      });
    });
    return socket;
  }

  /** The public name, also while another worker has it. */
  get path(): string {
    return this.#public;
  }

  /** Takes the public name, from whichever worker had it before. Only the directory's owner may. */
  publish(): void {
    const other = `${this.#own}.p`;
    linkSync(this.#own, other);
    renameSync(other, this.#public);
    this.#isPublished = true;
  }

  /** Gives the public name up and stays reachable for those who are on their way. */
  withdraw(): void {
    if (this.#isPublished) unlinkIfThere(this.#public);
    this.#isPublished = false;
  }

  /** Leaves nothing behind. */
  remove(): void {
    this.withdraw();
    unlinkIfThere(this.#own);
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
