import type { ChildProcess } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { nodeOptions, workerEnvironment } from '../../launcher/spawn-worker.ts';
import { start, temporaryDirectory } from './cleanup.ts';
import { cleanEnvironment, programs } from './programs.ts';

/** A worker in a directory of its own, started as the launcher does it. */
export interface RunningWorker {
  worker: ChildProcess;
  /** The base directory; the user's is below it. */
  base: string;
  /** The path of its socket. */
  path: string;
  /** What it said when it began to serve. */
  said: string;
}

/** Makes the directory that a worker serves in, and returns the base directory above it. */
export function workerDirectory(parent?: string): string {
  const base = temporaryDirectory(parent);
  mkdirSync(`${base}/${process.getuid?.()}`, { mode: 0o700 });
  return base;
}

/** Starts a worker below a base directory and waits for its one line. */
export async function startWorker(base: string, ...args: string[]): Promise<RunningWorker> {
  const worker = start(process.execPath, [...nodeOptions, programs.server, `--directory=${base}`, ...args], {
    env: cleanEnvironment(workerEnvironment),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let said = '';
  worker.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await new Promise((resolve) => worker.stdout?.once('close', resolve));
  return { worker, base, path: `${base}/${process.getuid?.()}/S.ccapi`, said };
}
