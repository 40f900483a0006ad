import { spawn } from 'node:child_process';
import { openSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { RendezvousError } from '../proto/rendezvous.ts';
import { WaitingWorker } from './waiting-worker.ts';

/**
 * What Node is told beside the program: one thread for what the engine does aside, and not four, of which each keeps memory
 * of its own. It is no option of the engine's, so that what was compiled before is taken all the same.
 */
export const nodeOptions = ['--v8-pool-size=1'] as const;

/**
 * A worker's environment, beside what {@link passedOn} leaves of the launcher's. The kernel's threads of io_uring would keep
 * root's rights after the drop. What the C library has for each thread apart, it does not give back to the system.
 */
export const workerEnvironment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', UV_USE_IO_URING: '0', MALLOC_ARENA_MAX: '1' };

/** Starts a worker, with the arguments of one, as a child of this launcher. */
export function spawnWorker(args: readonly string[]): WaitingWorker {
  const program = [...nodeOptions, join(__dirname, 'ccapi-server.js'), '--assigned', ...args];
  const child = spawn(process.execPath, program, {
    cwd: '/',
    detached: true,
    env: { ...workerEnvironment, ...passedOn(process.env) },
    stdio: ['pipe', 'pipe', 'ignore', ...nullDescriptors()],
  });
  const { stdin: input, stdout: output, pid } = child;
  const exited = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', (error) => {
      output?.destroy(error);
      resolve();
    });
  });
  // Node makes none where a descriptor is wanting, and tells that by the event alone.
  if (!input || !output) throw new RendezvousError('worker', 'no worker can be started: no descriptor is left');
  return new WaitingWorker({ input, output, pid, exited }, args);
}

/** What open(2) marks in the octal flags of proc_pid_fdinfo(5). */
const O_CLOEXEC = 0o2000000;

let covers: number[] | undefined;

/**
 * Has a child get /dev/null for the descriptors that this process was started with: a root shell may have left some open.
 * Node marks what it opens itself. It needs no call of the C library, so that the first child need not wait for that.
 */
function nullDescriptors(): number[] {
  covers ??= Array<number>(greatestInherited() - 2).fill(openSync('/dev/null', 'r'));
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

/** What a worker needs of the launcher's environment, and nothing that could change how Node runs it. */
export function passedOn(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(
    Object.entries(env).filter(([name]) => name === 'KRB5_CONFIG' || name.startsWith('CCAPI_')),
  );
}
