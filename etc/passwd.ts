import { readFileSync } from 'node:fs';
import type { NameService } from './access-rules.ts';

/** A user as the passwd database knows it. */
export interface User {
  uid: number;
  gid: number;
  name: string;
  home: string;
}

/** The user with this uid: from /etc/passwd, else from wherever the name service switch looks (`getent`). */
export function userWithUid(uid: number): User | undefined {
  const found = entry('passwd', String(uid), (fields) => fields[2] === String(uid)) ?? [];
  const [name = '', , , gid, , home = ''] = found;
  return gid !== undefined && /^[0-9]+$/.test(gid) ? { uid, gid: Number(gid), name, home } : undefined;
}

/** Users and groups by name, from /etc/passwd and /etc/group, else from where the name service switch looks. */
export const nameService: NameService = {
  isUser: (uid, name) => entry('passwd', name, (fields) => fields[0] === name)?.[2] === String(uid),
  isInGroup(uid, group) {
    const [, , gid, members] = entry('group', group, (fields) => fields[0] === group) ?? [];
    if (gid === undefined) return false;
    if (userWithUid(uid)?.gid === Number(gid)) return true;
    return (members ?? '').split(',').some((name) => name !== '' && this.isUser(uid, name));
  },
};

/** The fields of an entry of a database. */
function entry(database: 'passwd' | 'group', key: string, is: (fields: string[]) => boolean): string[] | undefined {
  const found = (text: string) =>
    text
      .split('\n')
      .map((line) => line.split(':'))
      .find((fields) => fields.length >= 4 && is(fields));
  return found(readFileSync(`/etc/${database}`, 'utf8')) ?? found(getent(database, key));
}

function getent(database: string, key: string): string {
  // Loading it costs a start some milliseconds, and hardly anybody's entry is elsewhere.
  const { execFileSync } = process.getBuiltinModule('node:child_process');
  try {
    return execFileSync('/usr/bin/getent', [database, key], {
      env: {},
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
      timeout: 5000,
    });
  } catch {
    // Its exit code for "no such entry"; a system without getent has no more than its files.
    return '';
  }
}
