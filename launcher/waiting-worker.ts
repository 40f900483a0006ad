import type { Readable, Writable } from 'node:stream';
import { asUser } from '../etc/host/identity.ts';
import { MAX_ANSWER, type WorkerAssignment } from '../proto/assignment.ts';
import { RendezvousError } from '../proto/rendezvous.ts';

/** A started worker's process. */
export interface Launched {
  /** Takes the one line that names its user. */
  input: Writable;
  /** Where it reports how its start went. */
  output: Readable;
  /** Undefined for one of systemd's, which says it before it becomes the user's. */
  pid: number | undefined;
  /** Resolves when the process has ended. */
  exited: Promise<void>;
}

/**
 * A worker that has been started and waits to be told its user. Until it is told, it is the launcher's own uid's: no
 * process of the user's exists before it has dropped root, by itself, and so the user cannot stop it earlier.
 */
export class WaitingWorker {
  /** What it was started with: it can become the worker of a user that is started with the same. */
  readonly args: readonly string[];
  readonly #launched: Launched;
  readonly #told: Partial<WorkerAssignment>;
  /** What it has said and is not read yet; bounded. */
  #said = '';
  /** Why it says no more. */
  #end: Error | undefined;
  /** Has what was said looked at. */
  #look = () => {};
  #uid: number | undefined;
  #hasExited = false;

  /** `told` is what its line says beside the user. */
  constructor(launched: Launched, args: readonly string[], told: Partial<WorkerAssignment> = {}) {
    this.#launched = launched;
    this.args = args;
    this.#told = told;
    const { input, output, exited } = launched;
    input.on('error', () => {});
    output.setEncoding('utf8').on('data', (chunk: string) => this.#take(chunk));
    const end = (error: Error) => {
      this.#end ??= error;
      this.#look();
    };
    output.on('error', end).on('close', () => end(new Error('it ended at once')));
    exited.then(() => {
      this.#hasExited = true;
    });
  }

  /** Resolves when the process has ended. */
  get exited(): Promise<void> {
    return this.#launched.exited;
  }

  /**
   * Tells it its user and waits for its one line: that it listens, or that another one does. What misses the deadline, in
   * milliseconds, or answers otherwise is ended. Rejects with a {@link RendezvousError} that says why.
   */
  async assign(user: Pick<WorkerAssignment, 'uid' | 'gid' | 'name'>, deadline: number): Promise<void> {
    const { uid } = user;
    if (this.#uid !== undefined) throw new Error(`this worker is that of uid ${this.#uid}`);
    this.#uid = uid;
    this.#launched.input.end(`${JSON.stringify({ ...user, ...this.#told })}\n`);
    try {
      const line = await this.#readLine(deadline);
      if (line !== 'ok') throw new Error(line.replace(/^error /, ''));
    } catch (error) {
      this.end();
      throw new RendezvousError('worker', `the worker of uid ${uid} could not be started: ${(error as Error).message}`);
    }
  }

  /** Ends it. A launcher that may not send signals to other users' processes does so as the user. */
  end(): void {
    const { pid, input } = this.#launched;
    // One that waits for its line leaves at the end of it.
    input.end();
    if (pid === undefined || this.#hasExited) return;
    try {
      // The real uid stays root's: so this ends what is still root's too, and no other user's process (kill(2)).
      asUser({ uid: this.#uid ?? 0 }, () => process.kill(pid, 'SIGKILL'));
    } catch {
      // It has ended by itself; another user's process may have its id.
    }
  }

  #take(chunk: string): void {
    if (this.#said.length < MAX_ANSWER) this.#said += chunk;
    const pid = /^pid (\d+)\n/.exec(this.#said);
    if (pid && this.#launched.pid === undefined) {
      this.#launched.pid = Number(pid[1]);
      this.#said = this.#said.slice(pid[0].length);
    }
    this.#look();
  }

  /** The line that it reports, without its newline; rejects where none is complete in time, or it is too long. */
  #readLine(deadline: number): Promise<string> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(`it did not answer within ${deadline / 1000} s`)), deadline);
      this.#look = () => {
        const length = this.#said.indexOf('\n');
        const isTooLong = length < 0 && this.#said.length >= MAX_ANSWER;
        if (length < 0 && !isTooLong && !this.#end) return;
        clearTimeout(timer);
        this.#look = () => {};
        if (length >= 0) resolve(this.#said.slice(0, length));
        else reject(isTooLong ? new Error(`its answer is longer than ${MAX_ANSWER} bytes`) : this.#end);
      };
      this.#look();
    });
  }
}
