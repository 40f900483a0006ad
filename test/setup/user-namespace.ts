import { readFileSync } from 'node:fs';
import type { TestUser } from './test-users.ts';

/** What a user is: herself, outside of any namespace; root of one, with all capabilities there; or a subordinate uid of it. */
export type Role = 'herself' | 'root' | 'a subordinate uid';

/**
 * The words of a command that has a user's program run, other than as herself, in a user namespace of that user's. There
 * the user is root, and the uids from 1 on are those that /etc/subuid gives the user, as newuidmap(1) and newgidmap(1) map
 * them.
 */
export function inUserNamespace(role: Role, command: [string, ...string[]]): [string, ...string[]] {
  if (role === 'herself') return command;
  const become = role === 'root' ? [] : ['setpriv', '--reuid=1', '--regid=1', '--clear-groups'];
  return ['/usr/bin/unshare', '--user', '--map-root-user', '--map-auto', ...become, ...command];
}

/** The uid that the host knows a program of the user's by. */
export function hostUid({ name, uid }: TestUser, role: Role): number {
  if (role !== 'a subordinate uid') return uid;
  const [, first] = new RegExp(`^${name}:(\\d+):`, 'm').exec(readFileSync('/etc/subuid', 'latin1')) ?? [];
  if (!first) throw new Error(`${name} has no range in /etc/subuid`);
  return Number(first);
}
