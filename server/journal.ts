import { closeSync, openSync, readFileSync, statSync, truncateSync } from 'node:fs';
import { putInPlace, writeWhole } from './storage/atomic-file.ts';

/** The sum over no lines (FNV-1a, 32 bits). */
const NO_SUM = 0x811c9dc5;

/**
 * A file of lines, each a JSON object, a tab and a sum over it and all lines before it, to which lines are only ever added: one that was added is there for good, and one
 * that was being added when the process was killed is not there at all. Written anew when it has grown.
 */
export class Journal {
  readonly path: string;
  readonly #sync: boolean;
  #descriptor: number | undefined;
  #length = 0;
  #lines = 0;
  #sum = NO_SUM;

  /** `sync` has each line reach the disk before {@link add} returns. */
  constructor(path: string, sync: boolean) {
    this.path = path;
    this.#sync = sync;
  }

  /** Whether its lines can be added to: it is there, as long as it was left, and of this version. */
  get isIntact(): boolean {
    if (this.#lines === 0 || this.#sum === NO_SUM) return false;
    return statSync(this.path, { throwIfNoEntry: false })?.size === this.#length;
  }

  /** How many lines there are. */
  get lines(): number {
    return this.#lines;
  }

  /**
   * All lines, or undefined where there is no such file. A last line that is not whole is dropped, and further lines are
   * written in its place. Throws `SyntaxError` where a line before it is none, or was changed, or is missing. The lines of
   * versions before 0.2 have no sums.
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
    this.#sum = NO_SUM;
    if (!texts[0]?.includes('\t')) return texts.map((text) => JSON.parse(text));
    return texts.map((text) => {
      const [json = '', sum] = text.split('\t');
      this.#sum = sumOf(json, this.#sum);
      if (sum !== inHex(this.#sum)) throw new SyntaxError('a line whose sum is wrong');
      return JSON.parse(json);
    });
  }

  /** Adds a line. Throws the system's error, and has added nothing then. */
  add(line: object): void {
    if (this.#lines > 0 && this.#sum === NO_SUM) throw new Error('the journal is of an older version');
    const { bytes, sum } = summed([line], this.#sum);
    this.#descriptor ??= openSync(this.path, 'r+');
    writeWhole(this.#descriptor, bytes, this.#length, this.#sync);
    this.#length += bytes.length;
    this.#sum = sum;
    this.#lines++;
  }

  /** Has these lines in the place of all others. Throws the system's error, and has changed nothing then. */
  rewrite(lines: readonly object[]): void {
    const { bytes, sum } = summed(lines, NO_SUM);
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
    this.#sum = sum;
    this.#lines = lines.length;
  }

  /** There is no such file any more, or it says something else than what is so: it has to be written anew. */
  forget(): void {
    this.close();
    [this.#length, this.#lines, this.#sum] = [0, 0, NO_SUM];
  }

  close(): void {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor);
    this.#descriptor = undefined;
  }
}

/** Lines as they stand in the file behind those whose sum is given, and the sum with them. */
function summed(lines: readonly object[], before: number): { bytes: Buffer; sum: number } {
  let sum = before;
  const texts = lines.map((line) => {
    const json = JSON.stringify(line);
    sum = sumOf(json, sum);
    return `${json}\t${inHex(sum)}\n`;
  });
  return { bytes: Buffer.from(texts.join('')), sum };
}

/** Tells damage, not malice: the owner can write what they like. */
function sumOf(text: string, before: number): number {
  let sum = before;
  for (let at = 0; at < text.length; at++) sum = Math.imul(sum ^ text.charCodeAt(at), 0x01000193);
  return sum >>> 0;
}

function inHex(sum: number): string {
  return sum.toString(16).padStart(8, '0');
}
