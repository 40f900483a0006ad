import { linkSync, lstatSync, renameSync, unlinkSync } from 'node:fs';
import type { Server } from 'node:net';
import { MAX_SOCKET_PATH, SOCKET_NAME } from '../etc/base-directory.ts';
import { isListening } from '../etc/is-listening.ts';
import { CCAPIError } from '../proto/error.ts';

/**
 * The name under which clients find a worker, `S.ccapi`. A worker listens under a name of its own and links it to the
 * public one: of any number of workers one succeeds, and the name never leads to a socket that does not listen yet.
 */
export class PublicSocket {
  readonly #public: string;
  readonly #own: string;

  private constructor(directory: string) {
    this.#public = `${directory}/${SOCKET_NAME}`;
    const unique = (process.hrtime.bigint() % 36n ** 4n).toString(36);
    this.#own = `${directory}/S.${process.pid.toString(36)}.${unique}`;
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

  /** Takes the public name; false if another worker that still listens has it. */
  async claim(): Promise<boolean> {
    for (;;) {
      try {
        linkSync(this.#own, this.#public);
        return true;
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      }
      const holder = lstatSync(this.#public, { throwIfNoEntry: false })?.ino;
      if (await isListening(this.#public)) return false;
      if (holder !== undefined) this.#clear(holder);
    }
  }

  /** Gives the public name up and stays reachable for those who are on their way. */
  withdraw(): void {
    if (this.#holds()) unlinkSync(this.#public);
  }

  /** Leaves nothing behind. */
  remove(): void {
    this.withdraw();
    unlinkIfThere(this.#own);
  }

  #holds(): boolean {
    const ours = lstatSync(this.#own, { throwIfNoEntry: false })?.ino;
    return ours !== undefined && lstatSync(this.#public, { throwIfNoEntry: false })?.ino === ours;
  }

  /**
   * Takes away a public name that nobody listens under. Another worker may have taken it over since it was looked at,
   * so it is moved aside first, where nobody else touches it, and put back if it turns out to be that worker's.
   */
  #clear(deadInode: number): void {
    const aside = `${this.#own}.x`;
    try {
      renameSync(this.#public, aside);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return;
      throw error;
    }
    try {
      if (lstatSync(aside).ino !== deadInode) linkSync(aside, this.#public);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      unlinkIfThere(aside);
    }
  }
}

function unlinkIfThere(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}
