import type { Stats } from 'node:fs';
import { linkSync, lstatSync, renameSync } from 'node:fs';
import type { Server } from 'node:net';
import { LISTEN_BACKLOG, MAX_SOCKET_PATH } from '../etc/config/paths.ts';
import { unlinkIfThere } from '../etc/host/unlink-if-there.ts';
import { ConfigError } from '../proto/errors.ts';

/**
 * A socket with two names in the user's directory: `S.ccapi`, by which it is known, and one of the worker's own. It
 * listens under its own, and gets the known one once the worker may serve: that never leads to a socket on which no
 * worker listens yet.
 */
export class PublishedSocket {
  /** The known name, also while another worker has it. */
  readonly path: string;
  readonly #own: string;
  readonly #newServer: () => Server;
  #server: Server | undefined;
  #file: FileIdentity = { dev: -1, ino: -1 };
  #isPublished = false;

  private constructor(newServer: () => Server, directory: string, name: string, id: string) {
    this.path = `${directory}/${name}`;
    this.#own = `${directory}/${ownName(name, id)}`;
    this.#newServer = newServer;
  }

  /**
   * Listens in a directory, not under the known name yet; `id` tells the worker from any other. `newServer` gives what is
   * to listen: a socket without a name left cannot get another, so that there may have to be a second one.
   */
  static async listen(newServer: () => Server, directory: string, name: string, id: string): Promise<PublishedSocket> {
    const socket = new PublishedSocket(newServer, directory, name, id);
    if (Buffer.byteLength(socket.#own) > MAX_SOCKET_PATH) {
      throw new ConfigError(`${socket.#own} is longer than a socket's path may be: 107 bytes`);
    }
    await socket.#listen();
    return socket;
  }

  /**
   * Takes the known name, from whichever worker had it before. Only the directory's owner may. Where the own name is gone
   * there is nothing to link to; then {@link restore} takes it.
   */
  publish(): void {
    this.#isPublished = true;
    if (!this.#isAt(this.#own)) return;
    const other = `${this.#own}.p`;
    clear(other);
    linkSync(this.#own, other);
    if (!isReplaceable(this.path)) clear(this.path);
    renameSync(other, this.path);
  }

  /** Makes the names anew that were removed or taken since. */
  async restore(): Promise<void> {
    if (!this.#isAt(this.#own)) {
      clear(this.#own);
      if (this.#isAt(this.path)) linkSync(this.path, this.#own);
      else await this.#listen();
    }
    if (this.#isPublished && !this.#isAt(this.path)) this.publish();
  }

  /** Gives the known name up and stays reachable for clients that are on their way. */
  withdraw(): void {
    if (this.#isPublished && this.#isAt(this.path)) unlinkIfThere(this.path);
    this.#isPublished = false;
  }

  /** Stops listening and leaves nothing behind. */
  remove(): void {
    this.withdraw();
    if (this.#isAt(this.#own)) unlinkIfThere(this.#own);
    this.#server?.close();
  }

  async #listen(): Promise<void> {
    // libuv removes the name of a socket that it closes, so this comes before the name is used again.
    this.#server?.close();
    const server = this.#newServer();
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ path: this.#own, backlog: LISTEN_BACKLOG }, () => {
        server.off('error', reject);
        resolve();
      });
    });
    this.#server = server;
    this.#file = lstatSync(this.#own);
  }

  #isAt(path: string): boolean {
    return sameFile(() => lstatSync(path), this.#file);
  }
}

/** The name of its own that the worker `id` gives a socket which is known by `name`: `S.<id>` for `S.ccapi`. */
export function ownName(name: string, id: string): string {
  return `${name.slice(0, name.indexOf('.'))}.${id}`;
}

/** Whether renaming can put a socket in the place of what is there. */
function isReplaceable(path: string): boolean {
  return !lstatSync(path, { throwIfNoEntry: false })?.isDirectory();
}

/** Makes a name free. A directory may hold something, so it is renamed. */
function clear(path: string): void {
  if (isReplaceable(path)) unlinkIfThere(path);
  else renameSync(path, `${path}.set-aside.${Date.now()}`);
}

/** What tells a file from any other of its host, under whatever name. */
export type FileIdentity = Pick<Stats, 'dev' | 'ino'>;

/** Whether `look` finds a certain file; what cannot be looked at is not it. */
export function sameFile(look: () => FileIdentity, { dev, ino }: FileIdentity): boolean {
  try {
    const found = look();
    return found.dev === dev && found.ino === ino;
  } catch {
    return false;
  }
}
