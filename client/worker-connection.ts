import { basename, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { meansNoListener } from '../etc/host/is-listening.ts';
import { checkPrivateDirectory } from '../etc/host/private-directory.ts';
import { CCAPIError } from '../proto/errors.ts';
import type { ByteStream } from './child-stream.ts';
import { checkLength, openSocket } from './connect-to-path.ts';

/** How often a launcher is asked again when its answer leads to no worker: that may have just left. */
const ATTEMPTS = 5;

/** The pause before the second time, and how much longer it is each time, in milliseconds. */
const PAUSE = 20;

/** A connection to the user's worker, and the path it was made to. */
export interface WorkerConnection {
  socket: ByteStream;
  path: string;
}

/**
 * Connects to a worker's socket; undefined where none listens. Connecting is the proof of who we are, and the directory is
 * the proof of who they are. The path of what is found is the one that was checked, without links. Throws 223, 224.
 */
export async function connectToWorker(given: string, uid: number): Promise<WorkerConnection | undefined> {
  checkLength(given);
  try {
    const path = `${checkPrivateDirectory(dirname(given), uid)}/${basename(given)}`;
    checkLength(path);
    return { socket: await openSocket(path), path };
  } catch (error) {
    if (meansNoListener(error)) return undefined;
    if (error instanceof CCAPIError) throw error;
    throw new CCAPIError('ccErrServerUnavailable', `${given}: ${(error as Error).message}`, { cause: error });
  }
}

/** Connects to the worker that a launcher names. That may leave just then; the launcher starts the next one. */
export async function askForWorker(
  ask: () => Promise<string | undefined>,
  uid: number,
): Promise<{ path?: string | undefined; found?: WorkerConnection | undefined }> {
  for (let attempt = 1; ; attempt++) {
    const path = await ask();
    const found = path === undefined ? undefined : await connectToWorker(path, uid);
    if (found || path === undefined || attempt === ATTEMPTS) return { path, found };
    await delay(attempt * PAUSE);
  }
}

/** One error for all the places that were tried. */
export function summarize(failures: readonly CCAPIError[]): CCAPIError {
  const isInsecure = failures.some((error) => CCAPIError.is(error, 'ccErrServerInsecure'));
  const why = failures.map(({ message }) => message).join('; ') || 'no place to ask';
  return new CCAPIError(
    isInsecure ? 'ccErrServerInsecure' : 'ccErrServerUnavailable',
    `no credential-cache server: ${why}`,
  );
}

/** Why a launcher has led to no worker; `path` is what it has answered, if it has. */
export function whyNone(path: string | undefined): string {
  return path === undefined ? 'nothing listens there' : `no server listens at ${path}`;
}
