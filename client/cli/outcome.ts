import { print, printJSON } from './command.ts';

/**
 * What a command has done to ccaches: a line for each as it happens, or all of them as one array of JSON at the end. Where the
 * command fails before its end, the array has what was done until then.
 */
export class Outcome<T extends object> implements Disposable {
  readonly #asJSON: boolean;
  readonly #ccaches: T[] = [];

  constructor(asJSON: boolean | undefined) {
    this.#asJSON = asJSON ?? false;
  }

  /** Notes what was done to a ccache; `line` says it for people. */
  add(ccache: T, line: string): void {
    if (this.#asJSON) this.#ccaches.push(ccache);
    else print(line);
  }

  [Symbol.dispose](): void {
    if (this.#asJSON) printJSON(this.#ccaches);
  }
}
