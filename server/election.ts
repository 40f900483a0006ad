import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, rmdirSync, statSync } from 'node:fs';
import { connect } from 'node:net';
import { LINK_SOCKET_NAME, MAX_SOCKET_PATH, SOCKET_NAME } from '../etc/config/paths.ts';
import { lockExclusively } from '../etc/host/libc.ts';
import { unlinkIfThere } from '../etc/host/unlink-if-there.ts';
import { CCAPIError } from '../proto/errors.ts';
import { ownName, sameFile } from './published-socket.ts';

/** The prefix of a token's name; the id of its worker follows. */
const TOKEN = 'W.';

/** Names that versions before 0.2 left in the directory. */
const LEGACY = ['W', 'W.free'];
const LEGACY_PREFIX = 'B.';

/** Milliseconds for which a socket on which no worker listens may be one of a worker that starts. */
const YOUNG = 10_000;

/**
 * Elects the one worker of a directory. Two things are needed to own it:
 *
 * 1. The kernel's lock (flock) on the directory's inode. It belongs to the process and not to a name, so nothing that is
 *    removed, emptied or renamed in the directory can give it to a second worker, and the kernel releases it when its
 *    process ends, however that happens. systemd-tmpfiles passes over what is locked so.
 * 2. A token, the file `W.<id>`, while there is no other token with a worker that listens on `S.<id>`. It keeps out workers
 *    that take no lock: where the C library cannot be called, and those of versions before 0.2. A candidate writes its
 *    token first and looks for others afterwards, so of any two candidates at least the later one sees the other; the
 *    first in the order of the ids stays, the others withdraw. No token is ever needed from before: none is a state in
 *    which no worker can be elected.
 *
 * Whatever is kept is reached through {@link path}, which leads to the locked inode also after another directory has
 * taken its name. So two workers never write the same files: they would have to hold the lock of the same inode. Without
 * the lock that is as true as the names in the directory are left alone.
 */
export class Election {
  readonly #directory: string;
  readonly #id: string;
  readonly #descriptor: number;
  #lock: 'untried' | 'held' | 'unsupported' = 'untried';

  /** `id` is the candidate's; its socket is `S.<id>` in the directory. Throws the system's error. */
  constructor(directory: string, id: string) {
    this.#directory = directory;
    this.#id = id;
    this.#descriptor = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  }

  /** The directory itself, whatever its name leads to by now; its name where the system has no such path. */
  get path(): string {
    const path = `/proc/self/fd/${this.#descriptor}`;
    return process.platform === 'linux' && isThere(path) ? path : this.#directory;
  }

  /** Whether the kernel keeps every other worker out of it until this process ends. */
  get isLocked(): boolean {
    return this.#lock === 'held';
  }

  /** Whether the name of the directory still leads to it. */
  get isInPlace(): boolean {
    return sameFile(() => statSync(this.#directory), fstatSync(this.#descriptor));
  }

  /** Takes the directory; false while another worker has it, or another candidate comes first. */
  async acquire(): Promise<boolean> {
    if (!this.#takeLock()) return false;
    if (!this.isInPlace) {
      throw new CCAPIError('ccErrServerUnavailable', `${this.#directory} was replaced while a worker started in it`);
    }
    // A candidate that writes its token only to withdraw it would keep the first of them from ever being alone.
    if (!isThere(this.#path(TOKEN + this.#id)) && (await this.#livingRivals()).length > 0) return false;
    this.#writeToken();
    const rivals = await this.#livingRivals();
    if (rivals.length === 0) return true;
    if (rivals.some((rival) => rival < this.#id)) this.release();
    return false;
  }

  /** Whether the owner still is one, after it has written a token anew that was removed. Only the lock allows that. */
  retain(): boolean {
    if (!this.isInPlace) return false;
    if (this.#lock !== 'held') return isThere(this.#path(TOKEN + this.#id));
    this.#writeToken();
    return true;
  }

  /** Gives the token back. The lock goes with the process, after the last write. */
  release(): void {
    if (this.isInPlace) unlinkIfThere(this.#path(TOKEN + this.#id));
  }

  /** Removes the directory, if nothing is left in it. */
  retire(): void {
    try {
      this.release();
      if (this.isInPlace) rmdirSync(this.#directory);
    } catch {
      // Another worker has come to it meanwhile.
    }
  }

  /**
   * Removes what workers have left behind that were killed. Only the owner may. What is young may be a socket that is
   * bound, and on which its worker is about to listen.
   */
  async sweep(): Promise<void> {
    const entries = this.#names().filter((name) => LEGACY.includes(name) || name.startsWith(LEGACY_PREFIX));
    for (const name of entries) this.#remove(name);
    const prefixes = [SOCKET_NAME, LINK_SOCKET_NAME].map((name) => ownName(name, ''));
    for (const name of this.#names()) {
      const prefix = prefixes.find((one) => name.startsWith(one));
      const id = name.slice(prefix?.length).replace(/\.p$/, '');
      if (prefix === undefined || name === SOCKET_NAME || name === LINK_SOCKET_NAME || id === this.#id) continue;
      const born = lstatSync(this.#path(name), { throwIfNoEntry: false })?.mtimeMs ?? Infinity;
      if (Date.now() - born > YOUNG && !(await this.#isAlive(id))) this.#remove(name);
    }
  }

  #takeLock(): boolean {
    if (this.#lock === 'untried') {
      const locked = lockExclusively(this.#descriptor);
      if (locked === false) return false;
      this.#lock = locked ? 'held' : 'unsupported';
    }
    return true;
  }

  #writeToken(): void {
    closeSync(openSync(this.#path(TOKEN + this.#id), 'a', 0o600));
  }

  /** The ids of the others that have a token and live; the tokens of those that do not are removed. */
  async #livingRivals(): Promise<string[]> {
    const rivals: string[] = [];
    for (const name of this.#names()) {
      const id = name.slice(TOKEN.length);
      if (!name.startsWith(TOKEN) || id === this.#id) continue;
      if (await this.#isAlive(id)) rivals.push(id);
      // It listened before it wrote its token, so that it is dead for certain.
      else for (const left of [name, ownName(SOCKET_NAME, id), ownName(LINK_SOCKET_NAME, id)]) this.#remove(left);
    }
    return rivals;
  }

  /**
   * Whether a worker listens on its socket. Only a connection or a full queue says so; whatever else stands there, or
   * cannot be reached, is no worker.
   */
  #isAlive(id: string): Promise<boolean> {
    const path = this.#path(ownName(SOCKET_NAME, id));
    if (Buffer.byteLength(path) > MAX_SOCKET_PATH) return Promise.resolve(false);
    return new Promise((resolve) => {
      const probe = connect(path);
      probe.once('connect', () => {
        probe.destroy();
        resolve(true);
      });
      probe.once('error', (error: NodeJS.ErrnoException) => resolve(error.code === 'EAGAIN'));
    });
  }

  #names(): string[] {
    return readdirSync(this.#directory);
  }

  /** What is no plain file or socket, such as a directory, is none of ours and stays. */
  #remove(name: string): void {
    try {
      unlinkIfThere(this.#path(name));
    } catch {
      // It does not count as a token either way.
    }
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}

function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined;
}
