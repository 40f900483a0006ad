import { linkSync, readdirSync, readFileSync, renameSync, rmdirSync, rmSync, unlinkSync, writeFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { HAND_OVER_NAME, SOCKET_NAME } from '../etc/base-directory.ts';
import { isListening } from '../etc/is-listening.ts';
import { ownName } from './public-socket.ts';

/** What the name of the token begins with; behind it stands whose it is. */
const TOKEN = 'W.';
const FREE = `${TOKEN}free`;

/** The file that says which token was the first, and the name that this one had at first. */
const FIRST = 'W';
const UNBORN = 'B.';

/** How soon it is looked again what becomes of somebody else's first token, in milliseconds. */
const LOOK_AGAIN = 5;

/**
 * Which of any number of workers is the one of a directory: whoever holds its token. There is one token, a file that is
 * named after its holder, and it is taken by renaming it from the name that it had: of those who try, one can. A holder
 * that was killed is known by its socket, on which nobody listens any more.
 */
export class Ownership {
  readonly #directory: string;
  readonly #id: string;

  /** `id` is the holder's, whose socket is `S.<id>` in the directory. */
  constructor(directory: string, id: string) {
    this.#directory = directory;
    this.#id = id;
  }

  /** Takes the token; false while somebody else has it who is alive. */
  async take(): Promise<boolean> {
    for (;;) {
      const tokens = readdirSync(this.#directory).filter((name) => name.startsWith(TOKEN));
      const [token] = tokens;
      if (tokens.includes(TOKEN + this.#id)) return true;
      if (token === undefined) await this.#takeFirst();
      else if (tokens.includes(FREE)) this.#rename(FREE);
      else if (await this.#isAlive(token.slice(TOKEN.length))) return false;
      else if (this.#rename(token)) this.#removeSocketsOf(token.slice(TOKEN.length));
    }
  }

  /** Gives the token back; where somebody has taken the whole directory away, there is none to give. */
  free(): void {
    try {
      renameSync(this.#path(TOKEN + this.#id), this.#path(FREE));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
  }

  /** Takes the token away, and the directory, which nobody wants any more; who does all the same makes the first anew. */
  end(): void {
    for (const name of [FIRST, TOKEN + this.#id]) rmSync(this.#path(name), { force: true });
    try {
      rmdirSync(this.#directory);
    } catch {
      // Somebody has come to it meanwhile.
    }
  }

  #isAlive(id: string): Promise<boolean> {
    return isListening(this.#path(ownName(SOCKET_NAME, id)));
  }

  #removeSocketsOf(id: string): void {
    for (const name of [SOCKET_NAME, HAND_OVER_NAME]) rmSync(this.#path(ownName(name, id)), { force: true });
  }

  /** Takes the token from the name that it had; false where somebody else was quicker. */
  #rename(from: string): boolean {
    try {
      renameSync(this.#path(from), this.#path(TOKEN + this.#id));
      return true;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      return false;
    }
  }

  /** There is no token, or there was none a moment ago: of those who want to make the first one, one can. */
  async #takeFirst(): Promise<void> {
    const own = this.#path(UNBORN + this.#id);
    writeFileSync(own, this.#id, { mode: 0o600 });
    try {
      linkSync(own, this.#path(FIRST));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
      unlinkSync(own);
    }
    const first = readFileSync(this.#path(FIRST), 'utf8');
    if (first === this.#id || !(await this.#isAlive(first))) this.#rename(UNBORN + first);
    else await delay(LOOK_AGAIN);
  }

  #path(name: string): string {
    return `${this.#directory}/${name}`;
  }
}
