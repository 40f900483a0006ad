import type { WaitingWorker } from './waiting-worker.ts';

/**
 * Where new workers come from: one is started ahead and waits for the next user, who then does not wait for a program to
 * start.
 */
export class NewWorkers {
  readonly #startWorker: (args: readonly string[]) => Promise<WaitingWorker>;
  #args: readonly string[] = [];
  #isOfUse = true;
  #spare: WaitingWorker | undefined;

  /** `startWorker` starts one with the arguments of one; `spare` is one that has been started already. */
  constructor(startWorker: (args: readonly string[]) => Promise<WaitingWorker>, spare?: WaitingWorker) {
    this.#startWorker = startWorker;
    if (spare) this.#keep(spare);
  }

  /**
   * Has workers get other arguments from here on, and ends a spare that the next user's worker would not be like. It reads
   * krb5.conf only once it knows its user. It is of no use where each worker has arguments of its own.
   */
  configure(args: readonly string[], isOfUse: boolean): void {
    [this.#args, this.#isOfUse] = [args, isOfUse];
    if (isOfUse && String(this.#spare?.args) === String(args)) return;
    this.#spare?.end();
    this.#spare = undefined;
  }

  /** A worker with no more than the common arguments: the spare, or a new one. */
  async take(): Promise<WaitingWorker> {
    const spare = this.#spare;
    this.#spare = undefined;
    return spare ?? (await this.start());
  }

  /** A new worker with further arguments. */
  start(...args: string[]): Promise<WaitingWorker> {
    return this.#startWorker([...this.#args, ...args]);
  }

  /** Starts a spare where there is none. A failure is the next user's to see. */
  async prepareSpare(): Promise<void> {
    if (this.#spare || !this.#isOfUse) return;
    const spare = await this.start().catch(() => undefined);
    if (spare) this.#keep(spare);
  }

  #keep(spare: WaitingWorker): void {
    this.#spare = spare;
    spare.exited.then(() => {
      if (this.#spare === spare) this.#spare = undefined;
    });
  }
}
