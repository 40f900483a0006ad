import { readRegularFile } from '../../etc/host/read-file.ts';
import { attempt, replaceFile } from './atomic-file.ts';

/** The name of the file. */
export const PRIMARY_FILE = 'primary';

/** The longest file that is read, in bytes. */
const MAX_FILE = 2 ** 20;

/**
 * The file in which libkrb5 looks for the name of the default ccache's file, a line. A worker goes by the positions of the
 * ccaches, and so loses nothing where this file is damaged. Source: the DIR ccache type of MIT's libkrb5.
 */
export class PrimaryFile {
  readonly #path: string;
  readonly #sync: boolean;

  /** `sync` has a name on the medium before `write` returns. */
  constructor(directory: string, sync: boolean) {
    this.#path = `${directory}/${PRIMARY_FILE}`;
    this.#sync = sync;
  }

  /** The name that it says; undefined where it cannot be read. */
  read(): string | undefined {
    return attempt(() => readRegularFile(this.#path, MAX_FILE).toString().trimEnd());
  }

  /** Has it say a name, where it does not yet. Throws the system's error. */
  write(name: string): void {
    if (name !== this.read()) replaceFile(this.#path, Buffer.from(`${name}\n`), this.#sync);
  }
}
