import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { RendezvousError } from '../proto/rendezvous.ts';

/**
 * What Node is told beside the program: one thread for what the engine does aside, and not four, of which each keeps memory
 * of its own. It is no option of the engine's, so that what was compiled before is taken all the same.
 */
export const nodeOptions = ['--v8-pool-size=1'] as const;

/**
 * Starts a worker for a uid and waits for its one line: that it listens, or that another one does, or why not. As
 * `identity`, where it is not to run as the launcher's own uid: without supplementary groups then, as libuv has it.
 */
export async function spawnWorker(
  uid: number,
  identity: { uid: number; gid: number } | undefined,
  args: string[],
  deadline: number,
): Promise<void> {
  const child = spawn(process.execPath, [...nodeOptions, join(__dirname, 'ccapi-server.js'), ...args], {
    // Node takes signed 32-bit numbers here and means the unsigned ones of the same bits.
    ...(identity && { uid: identity.uid | 0, gid: identity.gid | 0 }),
    cwd: '/',
    detached: true,
    env: scrubbedEnvironment(process.env),
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  child.unref();
  let said = '';
  let timer: NodeJS.Timeout | undefined;
  try {
    await new Promise<void>((resolve, reject) => {
      timer = setTimeout(() => reject(failed(uid, 'it did not say that it listens')), deadline);
      child.once('error', (error) => reject(failed(uid, error.message)));
      child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
        said += chunk;
      });
      child.stdout.once('close', () => resolve());
    });
    if (said !== 'ok\n') throw failed(uid, said.replace(/^error |\n/g, '') || 'it ended at once');
  } finally {
    clearTimeout(timer);
    child.stdout.destroy();
  }
}

/** What a program of ours needs of the environment, and nothing that could change how Node runs it. */
function scrubbedEnvironment(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const kept = Object.entries(env).filter(([name]) => name === 'KRB5_CONFIG' || name.startsWith('CCAPI_'));
  return { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', ...Object.fromEntries(kept) };
}

function failed(uid: number, why: string): RendezvousError {
  return new RendezvousError('worker', `the worker of uid ${uid} could not be started: ${why}`);
}
