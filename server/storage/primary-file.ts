import { readFileSync } from 'node:fs';
import { replaceFile } from './atomic-file.ts';

/** The name of the file. */
export const PRIMARY_FILE = 'primary';

/**
 * The file in which libkrb5 looks for the name of the default ccache's file, a line. A worker goes by the positions of the
 * ccaches, and so loses nothing where this file is damaged. Source: the DIR ccache type of MIT's libkrb5.
 */
export class PrimaryFile {
  readonly #path: string;
  readonly #sync: boolean;
  /** What it says by now, as far as that is known. */
  #name: string | undefined;

  /** `sync` has a name on the medium before `write` returns. */
  constructor(directory: string, sync: boolean) {
    this.#path = `${directory}/${PRIMARY_FILE}`;
    this.#sync = sync;
  }

  /** The name that it says; undefined where it cannot be read. */
  read(): string | undefined {
    try {
      this.#name = readFileSync(this.#path, 'utf8').trimEnd();
      return this.#name;
    } catch {
      return undefined;
    }
  }

  /** Has it say a name, where it does not yet. Throws the system's error. */
  write(name: string): void {
    if (name === this.#name) return;
    replaceFile(this.#path, Buffer.from(`${name}\n`), this.#sync);
    this.#name = name;
  }

  /** Has it written anew the next time: it may be gone. */
  forget(): void {
    this.#name = undefined;
  }
}
