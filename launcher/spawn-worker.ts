import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { asUser } from '../etc/host/identity.ts';
import { RendezvousError } from '../proto/rendezvous.ts';

/**
 * What Node is told beside the program: one thread for what the engine does aside, and not four, of which each keeps memory
 * of its own. It is no option of the engine's, so that what was compiled before is taken all the same.
 */
export const nodeOptions = ['--v8-pool-size=1'] as const;

/** The longest line that a worker may answer with, in bytes; the rest is not read. */
const MAX_ANSWER = 512;

/** What a worker is told that waits for its user: one line of JSON on its standard input. */
interface Assignment {
  uid: number;
  gid: number;
}

/**
 * A worker that has been started and waits to be told its user. Until it is told, it is the launcher's own uid's: no
 * process of the user's exists before it has dropped root, by itself, and so the user cannot stop it earlier.
 */
export class WaitingWorker {
  /** Resolves when the process has ended. */
  readonly exited: Promise<void>;
  /** What it was started with: it can become the worker of a user that is started with the same. */
  readonly args: readonly string[];
  readonly #child: ChildProcess;
  #uid: number | undefined;

  /** Starts it with the arguments of a worker. */
  constructor(args: readonly string[]) {
    this.args = args;
    const program = [...nodeOptions, join(__dirname, 'ccapi-server.js'), '--assigned', ...args];
    this.#child = spawn(process.execPath, program, {
      cwd: '/',
      detached: true,
      env: scrubEnvironment(process.env),
      stdio: ['pipe', 'pipe', 'ignore', ...nullDescriptors()],
    });
    this.exited = new Promise((resolve) => {
      this.#child.once('exit', () => resolve());
      this.#child.once('error', () => resolve());
    });
    this.#child.stdin?.on('error', () => {});
    this.#child.unref();
    for (const stream of [this.#child.stdin, this.#child.stdout]) (stream as unknown as { unref?(): void })?.unref?.();
  }

  /**
   * Tells it its user and waits for its one line: that it listens, or that another one does. What misses the deadline, in
   * milliseconds, or answers otherwise is ended. Rejects with a {@link RendezvousError} that says why.
   */
  async assign(assignment: Assignment, deadline: number): Promise<void> {
    const { uid } = assignment;
    if (this.#uid !== undefined) throw new Error(`this worker is that of uid ${this.#uid}`);
    this.#uid = uid;
    const said = readLine(this.#child, deadline);
    this.#child.stdin?.end(`${JSON.stringify(assignment)}\n`);
    try {
      const line = await said;
      if (line !== 'ok') throw new Error(line.replace(/^error /, '') || 'it ended at once');
    } catch (error) {
      this.end();
      throw new RendezvousError('worker', `the worker of uid ${uid} could not be started: ${(error as Error).message}`);
    } finally {
      this.#child.stdout?.destroy();
    }
  }

  /** Ends it. A launcher that may not send signals to other users' processes does so as the user. */
  end(): void {
    const { pid, exitCode, signalCode } = this.#child;
    if (pid === undefined || exitCode !== null || signalCode !== null) return;
    try {
      this.#child.kill('SIGKILL');
      if (this.#uid !== undefined) asUser({ uid: this.#uid }, () => process.kill(pid, 'SIGKILL'));
    } catch {
      // It has ended by itself.
    }
  }
}

/** The first line that a child prints, without its newline; rejects where none is complete in time, or it is too long. */
function readLine(child: ChildProcess, deadline: number): Promise<string> {
  const output = child.stdout as Readable;
  return new Promise((resolve, reject) => {
    let said = '';
    const timer = setTimeout(() => reject(new Error(`it did not answer within ${deadline / 1000} s`)), deadline);
    const settle = (error: Error | undefined) => {
      clearTimeout(timer);
      if (error) reject(error);
      else resolve(said.split('\n')[0] as string);
    };
    child.once('error', settle);
    output.setEncoding('utf8').on('data', (chunk: string) => {
      said += chunk;
      if (said.includes('\n')) settle(undefined);
      else if (said.length >= MAX_ANSWER) settle(new Error(`its answer is longer than ${MAX_ANSWER} bytes`));
    });
    output.once('close', () => settle(undefined));
  });
}

/** What open(2) marks in the octal flags of proc_pid_fdinfo(5). */
const O_CLOEXEC = 0o2000000;

let covers: number[] | undefined;

/**
 * Has a child get /dev/null for the descriptors that this process was started with: a root shell may have left some open.
 * Node marks what it opens itself. It needs no call of the C library, so that the first child need not wait for that.
 */
function nullDescriptors(): number[] {
  if (covers) return covers;
  const count = greatestInherited() - 2;
  covers = count > 0 ? Array(count).fill(openSync('/dev/null', 'r')) : [];
  return covers;
}

function greatestInherited(): number {
  if (process.platform !== 'linux') return 2;
  const open = readdirSync('/proc/self/fd').map(Number);
  return Math.max(2, ...open.filter((descriptor) => !isClosedAtExec(descriptor)));
}

function isClosedAtExec(descriptor: number): boolean {
  try {
    const [, flags = ''] = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, 'latin1')) ?? [];
    return (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0;
  } catch {
    // That was the one of reading the list.
    return true;
  }
}

/** What a program of ours needs of the environment, and nothing that could change how Node runs it. */
function scrubEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => name === 'KRB5_CONFIG' || name.startsWith('CCAPI_'));
  // The kernel's threads of io_uring would keep root's rights after the drop.
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', UV_USE_IO_URING: '0', ...Object.fromEntries(kept) };
}
