import type { Settings } from './settings.ts';

/** The name of a worker's socket in its user's directory. */
export const SOCKET_NAME = 'S.ccapi';

/** The name of the socket beside it through which a worker takes connections over from the front door. */
export const HAND_OVER_NAME = 'H.ccapi';

/** What the names of the ccaches in a kept directory begin with; libkrb5 looks for these in a DIR: collection. */
export const KEPT_PREFIX = 'tkt';

/** The longest path of a UNIX socket on Linux, in bytes. Node 20 and 22 cut a longer one and say nothing. */
export const MAX_SOCKET_PATH = 107;

/** The directory in which a launcher that runs as `uid` makes the users' directories. */
export function launcherBaseDirectory(
  settings: Pick<Settings, 'directory'>,
  uid: number,
  env: NodeJS.ProcessEnv,
): string {
  return settings.directory ?? (uid === 0 ? '/run/ccapi' : ownBaseDirectory(uid, env));
}

/** The directories below which a client that runs as `uid` may find its worker, the machine's before the user's own. */
export function clientBaseDirectories(
  settings: Pick<Settings, 'directory'>,
  uid: number,
  env: NodeJS.ProcessEnv,
): string[] {
  if (settings.directory !== undefined) return [settings.directory];
  return uid === 0 ? ['/run/ccapi'] : ['/run/ccapi', ownBaseDirectory(uid, env)];
}

/** Whom the directory of a uid below a base directory belongs to is checked where it is used; here is only its path. */
export function userDirectory(base: string, uid: number): string {
  return `${base}/${uid}`;
}

/** The path of the socket of a uid's worker. */
export function socketPath(base: string, uid: number): string {
  return `${userDirectory(base, uid)}/${SOCKET_NAME}`;
}

/** Where a worker keeps its ccaches, below its user's directory. */
export function keptDirectoryIn(directory: string): string {
  return `${directory}/caches`;
}

/** Without root, /run is closed: the login session's directory, or else one in /tmp whose owner is checked at each use. */
function ownBaseDirectory(uid: number, env: NodeJS.ProcessEnv): string {
  const runtime = env.XDG_RUNTIME_DIR;
  return runtime?.startsWith('/') ? `${runtime.replace(/\/+$/, '')}/ccapi` : `/tmp/ccapi-${uid}`;
}
