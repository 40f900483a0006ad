import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

export { memory } from './place.mts';

const cleanups: (() => void | Promise<void>)[] = [];

/** Has something done after the tests of the file, before what was asked for earlier. */
export function afterwards(cleanup: () => void | Promise<void>): void {
  cleanups.push(cleanup);
}

/** Does it all; whatever fails, the rest is done too. */
export async function cleanUp(): Promise<void> {
  const failures: unknown[] = [];
  for (const cleanup of cleanups.splice(0).reverse()) {
    try {
      await cleanup();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'something was left behind');
}

/** A directory that is gone after the tests of the file; others may look into it, as into /run. */
export function temporaryDirectory(parent = tmpdir()): string {
  const path = mkdtempSync(join(parent, 'ccapi-test-'));
  chmodSync(path, 0o755);
  afterwards(async () => {
    await endProgramsBelow(path);
    rmSync(path, { recursive: true, force: true });
  });
  return path;
}

/** Starts a program that is ended, if it still runs, after the tests of the file. */
export function start(program: string, args: string[], options: SpawnOptions = {}): ChildProcess {
  const child = spawn(program, args, options);
  afterwards(() => end(child));
  return child;
}

/** Ends a program that a test started, and waits until it is gone. */
export async function end(child: ChildProcess, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill(signal);
  await gone;
}

/** Waits for a condition that no event announces. Fails after `seconds`. */
export async function eventually<T>(look: () => T | Promise<T>, seconds = 20): Promise<NonNullable<T>> {
  const deadline = performance.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found) return found as NonNullable<T>;
    if (performance.now() > deadline) throw new Error(`did not come true within ${seconds} s: ${look}`);
    await delay(10);
  }
}

/** The pids of the workers with a directory below a path, by asking the kernel; one that waits for its user is none. */
export function workersBelow(path: string): number[] {
  return processesOf('ccapi-server.js', path).filter((pid) => !isWaiting(pid));
}

/** Whether a worker has not been told its user yet: its standard input is the launcher's socket until then. */
export function isWaiting(pid: number): boolean {
  try {
    return readlinkSync(`/proc/${pid}/fd/0`).startsWith('socket:');
  } catch {
    return false;
  }
}

/** The pids of the processes that run a program with an argument that mentions a text. */
export function processesOf(program: string, argument: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      const command = commandLine(pid);
      return command.some((word) => word.endsWith(`/${program}`)) && command.some((word) => word.includes(argument));
    });
}

/** Ends the launchers and workers that were told to use a path, or one below it. */
export async function endProgramsBelow(path: string): Promise<void> {
  await endAll(() => [...processesOf('ccapi-launcher.js', path), ...processesOf('ccapi-server.js', path)]);
}

/** Ends the workers that were told to use a path, or one below it. */
export async function endWorkersBelow(path: string): Promise<void> {
  await endAll(() => workersBelow(path));
}

/**
 * Whether a process has ended and closed what it had open. One that is being killed has no command line any more, and
 * still takes connections.
 */
export function hasEnded(pid: number): boolean {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1');
    // Its first thread may have ended before the others, which share what is open.
    return /^State:\t[ZX]/m.test(status) && /^Threads:\t[01]$/m.test(status);
  } catch {
    return true;
  }
}

async function endAll(running: () => number[]): Promise<void> {
  const pids = running();
  for (const pid of pids) {
    try {
      process.kill(pid);
    } catch {
      // It has ended by itself.
    }
  }
  await eventually(() => running().length === 0 && pids.every(hasEnded));
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
