import { type FSWatcher, watch } from 'node:fs';

/** Milliseconds from an event to the check, so that one removal of many names is one check, and `rm -r` is not in its way. */
const SETTLE = 50;

/** Milliseconds between checks where the kernel does not tell of events. */
const FALLBACK = 5000;

/** Has a directory checked at once and after each event in it, without polling and without keeping the process alive. */
export class DirectoryWatch {
  readonly #check: () => Promise<void>;
  #watcher: FSWatcher | undefined;
  #timer: NodeJS.Timeout | undefined;
  #fallback: NodeJS.Timeout | undefined;
  #checking = Promise.resolve();
  #isClosed = false;

  /**
   * `check` must not fail. What it changes itself leads to one more check, which has to find nothing to do. `passOver` says of
   * which names an event needs no check.
   */
  constructor(
    directory: string,
    check: () => Promise<void>,
    watchDirectory: typeof watch = watch,
    passOver: (name: string) => boolean = () => false,
  ) {
    this.#check = check;
    try {
      this.#watcher = watchDirectory(directory, { persistent: false }, (_, name) => {
        if (name === null || !passOver(name)) this.#schedule();
      });
      this.#watcher.on('error', () => this.#fallBack());
    } catch {
      // No inotify here, or the user has too many watches.
      this.#fallBack();
    }
    this.#schedule();
  }

  close(): void {
    this.#isClosed = true;
    this.#watcher?.close();
    clearInterval(this.#fallback);
    clearTimeout(this.#timer);
  }

  #schedule(): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#checking = this.#checking.then(this.#check);
    }, SETTLE).unref();
  }

  #fallBack(): void {
    this.#watcher?.close();
    this.#watcher = undefined;
    if (this.#isClosed) return;
    this.#fallback ??= setInterval(() => this.#schedule(), FALLBACK).unref();
  }
}
