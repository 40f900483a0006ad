import { chmodSync, lstatSync, unlinkSync } from 'node:fs';
import { dirname } from 'node:path';
import { MAX_SOCKET_PATH } from '../etc/config/paths.ts';
import { isListening } from '../etc/host/is-listening.ts';
import { checkUnreplaceable } from '../etc/host/private-directory.ts';
import { CCAPIError } from '../proto/errors.ts';
import { type LauncherContext, serveAddress } from './launcher.ts';

/**
 * Listens on a UNIX socket of its own: everybody's where root listens, else the launcher's own uid's alone. A socket that
 * nobody listens on any more is taken away first; anything else that stands there is refused. The socket is removed when
 * the launcher is told to end.
 */
export async function listenAtPath(path: string, context: LauncherContext): Promise<string> {
  if (Buffer.byteLength(path) > MAX_SOCKET_PATH) {
    throw new CCAPIError(
      'ccErrBadParam',
      `--listen ${path}: longer than a socket's path may be: ${MAX_SOCKET_PATH} bytes`,
    );
  }
  try {
    checkUnreplaceable(dirname(path), context.launcherUid);
    await clearAbandoned(path);
    await serveAddress({ path }, context);
  } catch (error) {
    if (error instanceof CCAPIError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    throw new CCAPIError('ccErrServerUnavailable', `cannot listen at ${path}: ${code}`, { cause: error });
  }
  chmodSync(path, context.launcherUid === 0 ? 0o666 : 0o600);
  removeAtEnd(path);
  return `at ${path}`;
}

async function clearAbandoned(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false });
  if (!found) return;
  if (!found.isSocket())
    throw new CCAPIError('ccErrBadParam', `--listen ${path}: something that is no socket is there`);
  if (await isListening(path)) {
    throw new CCAPIError('ccErrServerUnavailable', `cannot listen at ${path}: something listens there already`);
  }
  unlinkSync(path);
}

function removeAtEnd(path: string): void {
  const ours = lstatSync(path).ino;
  const remove = () => {
    if (lstatSync(path, { throwIfNoEntry: false })?.ino === ours) unlinkSync(path);
  };
  process.once('exit', remove);
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      remove();
      process.kill(process.pid, signal);
    });
  }
}
