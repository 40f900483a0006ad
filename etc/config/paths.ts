import { lstatSync } from 'node:fs';
import { isSessionName } from '../../proto/rendezvous.ts';
import { checkUnreplaceable } from '../host/private-directory.ts';
import { expandPathTemplate } from './path-template.ts';
import type { Settings } from './settings-table.ts';

/** The name of a worker's socket in its user's directory. */
export const SOCKET_NAME = 'S.ccapi';

/** The name of the socket beside it through which a worker takes connections over from the front door. */
export const LINK_SOCKET_NAME = 'H.ccapi';

/** Where stock Kerberos programs look for KCM unless krb5.conf says otherwise. */
export const FRONT_DOOR = '/var/run/.heim_org.h5l.kcm-socket';

/** What the names of the ccaches in a kept directory begin with; libkrb5 looks for these in a DIR: collection. */
export const KEPT_PREFIX = 'tkt';

/** The name of the file in a worker's directory that is at every moment its default ccache. */
export const VIEW_NAME = 'krb5cc';

/** How many may be on their way to a socket at once; Linux has no more than 4096 unless it is told so. Beyond it is EAGAIN. */
export const LISTEN_BACKLOG = 4096;

/** The longest path of a UNIX socket on Linux, in bytes. Node 20 and 22 cut a longer one and say nothing. */
export const MAX_SOCKET_PATH = 107;

/** Where root's launcher makes the users' directories unless the settings say otherwise. */
const ROOT_BASE = '/run/ccapi';

/** What the name of a session's directory begins with, in its user's. */
const SESSION_PREFIX = 's.';

/** The directory in which a launcher that runs as `uid` makes the users' directories. */
export function baseDirectory(settings: Pick<Settings, 'directory'>, uid: number, env: NodeJS.ProcessEnv): string {
  return settings.directory ?? (uid === 0 ? ROOT_BASE : ownBaseDirectory(uid, env));
}

/** The directories in which a client may find the worker of its uid. */
interface ClientDirectories {
  /** The one that the settings name, or the one below root's base. */
  first: string;
  /** The user's own, where the settings name none and the machine has no launcher of root's. */
  own: string | undefined;
}

/** Where a client looks for the worker of a uid. Throws 202 as {@link userDirectory} does. */
export function clientDirectories(
  settings: Pick<Settings, 'directory' | 'pathTemplate'>,
  uid: number,
  env: NodeJS.ProcessEnv,
): ClientDirectories {
  const { directory, pathTemplate } = settings;
  const isConfigured = pathTemplate !== undefined || directory !== undefined;
  const first = userDirectory(pathTemplate, directory ?? ROOT_BASE, uid);
  return {
    first,
    own: isConfigured || uid === 0 ? undefined : privateDirectory(uid, env),
  };
}

/** The directory of a user who has no launcher of root's. */
export function privateDirectory(uid: number, env: NodeJS.ProcessEnv): string {
  return `${uid === 0 ? ROOT_BASE : ownBaseDirectory(uid, env)}/${uid}`;
}

/**
 * The directory of a uid: what the template says, or else the one of its number below a base directory. Its owner
 * is checked where it is used. Throws 202 where the template needs what the passwd database does not say.
 */
export function userDirectory(pathTemplate: string | undefined, base: string, uid: number): string {
  return pathTemplate === undefined ? `${base}/${uid}` : expandPathTemplate(pathTemplate, uid);
}

/** The directory of a login session in its user's; that of all of them together is the user's own. */
export function sessionDirectory(directory: string, session: string | undefined): string {
  return session === undefined ? directory : `${directory}/${SESSION_PREFIX}${session}`;
}

/** The session that a directory's name stands for; undefined for any other name. */
export function parseSessionDirectory(name: string): string | undefined {
  const session = name.slice(SESSION_PREFIX.length);
  return name.startsWith(SESSION_PREFIX) && isSessionName(session) ? session : undefined;
}

/** Where a worker keeps its ccaches, below its user's directory. */
export function keptDirectoryIn(directory: string): string {
  return `${directory}/caches`;
}

/**
 * Without root, /run is closed: the directory of the login session, or else one in /tmp that is checked at each use. Client,
 * launcher and server decide it here, so that they come to the same one.
 */
function ownBaseDirectory(uid: number, env: NodeJS.ProcessEnv): string {
  const runtime = usableRuntimeDirectory(uid, env.XDG_RUNTIME_DIR);
  return runtime === undefined ? `/tmp/ccapi-${uid}` : `${runtime}/ccapi`;
}

/**
 * The path without links of a runtime directory in which only this uid can put things. Under plain `su` the variable names
 * the other user's, and outlives a session that has ended.
 */
function usableRuntimeDirectory(uid: number, path: string | undefined): string | undefined {
  if (!path?.startsWith('/')) return undefined;
  try {
    const found = lstatSync(path.replace(/\/+$/, ''));
    const isOwn = found.isDirectory() && found.uid === uid && (found.mode & 0o022) === 0;
    return isOwn ? checkUnreplaceable(path, uid) : undefined;
  } catch {
    return undefined;
  }
}
