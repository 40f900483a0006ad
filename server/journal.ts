import { closeSync, openSync, readFileSync, truncateSync } from 'node:fs';
import { putInPlace, writeWhole } from './whole-writes.ts';

/**
 * A file of lines, each a JSON object, to which lines are only ever added: one that was added is there for good, and one
 * that was being added when the process was killed is not there at all. Written anew when it has grown.
 */
export class Journal {
  readonly path: string;
  readonly #sync: boolean;
  #descriptor: number | undefined;
  #length = 0;
  #lines = 0;

  /** `sync` has each line reach the disk before {@link add} returns. */
  constructor(path: string, sync: boolean) {
    this.path = path;
    this.#sync = sync;
  }

  /** How many lines there are. */
  get lines(): number {
    return this.#lines;
  }

  /**
   * All lines, or undefined where there is no such file. A last line that is not whole is dropped, and further lines are
   * written in its place. Throws `SyntaxError` where a line before it is none.
   */
  read(): object[] | undefined {
    let bytes: Buffer;
    try {
      bytes = readFileSync(this.path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
    this.#length = bytes.lastIndexOf(0x0a) + 1;
    if (this.#length < bytes.length) truncateSync(this.path, this.#length);
    const texts = bytes.toString('utf8', 0, this.#length).split('\n').slice(0, -1);
    this.#lines = texts.length;
    return texts.map((text) => JSON.parse(text));
  }

  /** Adds a line. Throws the system's error, and has added nothing then. */
  add(line: object): void {
    const bytes = Buffer.from(`${JSON.stringify(line)}\n`);
    this.#descriptor ??= openSync(this.path, 'r+');
    writeWhole(this.#descriptor, bytes, this.#length, this.#sync);
    this.#length += bytes.length;
    this.#lines++;
  }

  /** Has these lines in the place of all others. Throws the system's error, and has changed nothing then. */
  rewrite(lines: readonly object[]): void {
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const unfinished = `${this.path}.new`;
    const descriptor = openSync(unfinished, 'w', 0o600);
    try {
      writeWhole(descriptor, bytes, 0, this.#sync);
      putInPlace(unfinished, this.path, this.#sync);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
    this.close();
    this.#descriptor = descriptor;
    this.#length = bytes.length;
    this.#lines = lines.length;
  }

  /** There is no such file any more. */
  forget(): void {
    this.close();
    [this.#length, this.#lines] = [0, 0];
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}
