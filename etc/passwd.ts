import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** A user as the passwd database knows it. */
export interface User {
  uid: number;
  gid: number;
}

/** The user with this uid: from /etc/passwd, else from wherever the name service switch looks (`getent`). */
export function userWithUid(uid: number): User | undefined {
  return userIn(readFileSync('/etc/passwd', 'utf8'), uid) ?? userIn(getent(uid), uid);
}

function userIn(passwd: string, uid: number): User | undefined {
  for (const line of passwd.split('\n')) {
    const [, , uidText, gidText] = line.split(':');
    if (uidText === String(uid) && /^[0-9]+$/.test(gidText ?? '')) return { uid, gid: Number(gidText) };
  }
  return undefined;
}

function getent(uid: number): string {
  try {
    return execFileSync('/usr/bin/getent', ['passwd', String(uid)], {
      env: {},
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
  } catch {
    // Its exit code for "no such user"; a system without getent has no more than its /etc/passwd.
    return '';
  }
}
