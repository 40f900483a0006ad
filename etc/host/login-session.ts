import { existsSync } from 'node:fs';
import { isSessionName } from '../../proto/rendezvous.ts';
import { textOf } from './read-or-nothing.ts';

/** What the kernel calls the session of a process that belongs to none. */
const NONE = '4294967295';

/** The session of processes that belong to none, or to one that is not known. */
export const NO_SESSION = '0';

/**
 * The login session that a process belongs to, by the kernel's audit; `0` where it belongs to none, or where the kernel keeps
 * no audit. Undefined where the process is not to be seen: it has ended, or /proc hides it.
 */
export function auditSession(pid: number | 'self'): string | undefined {
  const session = textOf(`/proc/${pid}/sessionid`).trim();
  if (session !== '') return session === NONE || !isSessionName(session) ? NO_SESSION : session;
  return process.platform !== 'linux' || existsSync(`/proc/${pid}`) ? NO_SESSION : undefined;
}

/** The login session that this process is in: what the login says, else what the kernel says. */
export function ownSession({ XDG_SESSION_ID: said }: NodeJS.ProcessEnv): string {
  return said !== undefined && isSessionName(said) ? said : (auditSession('self') ?? NO_SESSION);
}
