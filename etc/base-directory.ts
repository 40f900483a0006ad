import { isSessionName } from '../proto/rendezvous.ts';
import { expandPathTemplate } from './path-template.ts';
import type { Settings } from './settings.ts';

/** The name of a worker's socket in its user's directory. */
export const SOCKET_NAME = 'S.ccapi';

/** The name of the socket beside it through which a worker takes connections over from the front door. */
export const HAND_OVER_NAME = 'H.ccapi';

/** Where stock Kerberos programs look for KCM unless krb5.conf says otherwise. */
export const FRONT_DOOR = '/var/run/.heim_org.h5l.kcm-socket';

/** What the names of the ccaches in a kept directory begin with; libkrb5 looks for these in a DIR: collection. */
export const KEPT_PREFIX = 'tkt';

/** How many may be on their way to a socket at once; Linux has no more than 4096 unless it is told so. Beyond it is EAGAIN. */
export const LISTEN_BACKLOG = 4096;

/** The longest path of a UNIX socket on Linux, in bytes. Node 20 and 22 cut a longer one and say nothing. */
export const MAX_SOCKET_PATH = 107;

/** What the name of a session's directory begins with, in its user's. */
const SESSION_PREFIX = 's.';

/** The directory in which a launcher that runs as `uid` makes the users' directories. */
export function launcherBaseDirectory(
  settings: Pick<Settings, 'directory'>,
  uid: number,
  env: NodeJS.ProcessEnv,
): string {
  return settings.directory ?? (uid === 0 ? '/run/ccapi' : ownBaseDirectory(uid, env));
}

/** The directories that may be the one of a uid's worker as a client finds it, the machine's before the user's own. */
export function clientDirectories(
  settings: Pick<Settings, 'directory' | 'pathTemplate'>,
  uid: number,
  env: NodeJS.ProcessEnv,
): string[] {
  const { directory, pathTemplate } = settings;
  if (pathTemplate !== undefined || directory !== undefined) return [userDirectory(pathTemplate, directory ?? '', uid)];
  const bases = uid === 0 ? ['/run/ccapi'] : ['/run/ccapi', ownBaseDirectory(uid, env)];
  return bases.map((base) => userDirectory(undefined, base, uid));
}

/**
 * The directory of a uid: what the template says, or else the one of its number below a base directory. Whom it belongs to
 * is checked where it is used. Throws 202 where the template needs what the passwd database does not say.
 */
export function userDirectory(pathTemplate: string | undefined, base: string, uid: number): string {
  return pathTemplate === undefined ? `${base}/${uid}` : expandPathTemplate(pathTemplate, uid);
}

/** The directory of a login session in its user's; that of all of them together is the user's own. */
export function sessionDirectory(directory: string, session: string | undefined): string {
  return session === undefined ? directory : `${directory}/${SESSION_PREFIX}${session}`;
}

/** The session whose directory has a name; undefined where it is none. */
export function sessionNamed(name: string): string | undefined {
  const session = name.slice(SESSION_PREFIX.length);
  return name.startsWith(SESSION_PREFIX) && isSessionName(session) ? session : undefined;
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
