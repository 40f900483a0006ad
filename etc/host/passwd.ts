import { readFileSync } from 'node:fs';

/** The uids that a word of a rule stands for: a range, a user by name, or the members of a group. */
export type UidPattern = { from: number; to: number } | { user: string } | { group: string };

/** Whether a uid is meant; undefined where no database has the name. */
export type Membership = boolean | undefined;

/** The answers of the name service, at once or as promises. */
export interface NameService<Answer extends Membership | Promise<Membership>> {
  isUser(uid: number, name: string): Answer;
  isInGroup(uid: number, group: string): Answer;
}

/** A user as the passwd database knows it. */
export interface User {
  uid: number;
  gid: number;
  name: string;
  home: string;
}

/** A group as the group database knows it. */
export interface Group {
  gid: number;
  name: string;
  members: string[];
}

/** Both databases, and how a line of each is read; undefined for a line that is no entry. Source: passwd(5), group(5). */
export const databases = {
  passwd: {
    path: '/etc/passwd',
    parse: (line: string): User | undefined => {
      const [name = '', , uid = '', gid = '', , home = ''] = line.split(':');
      return isNumber(uid) && isNumber(gid) ? { uid: Number(uid), gid: Number(gid), name, home } : undefined;
    },
  },
  group: {
    path: '/etc/group',
    parse: (line: string): Group | undefined => {
      const [name = '', , gid = '', members = ''] = line.split(':');
      const names = members.split(',').filter((member) => member !== '');
      return isNumber(gid) ? { gid: Number(gid), name, members: names } : undefined;
    },
  },
};

/** The user with this uid: from /etc/passwd, else from the name service switch (`getent`), for which this waits. */
export function userWithUid(uid: number): User | undefined {
  const is = (user: User) => user.uid === uid;
  return localUser(uid) ?? find(getent('passwd', String(uid)), databases.passwd.parse, is);
}

/** The user with this uid in /etc/passwd itself. */
export function localUser(uid: number): User | undefined {
  const { path, parse } = databases.passwd;
  return find(readFileSync(path, 'utf8'), parse, (user) => user.uid === uid);
}

/** Users and groups by name, from the files, else from the name service switch, for which this waits. */
export const nameService: NameService<Membership> = {
  isUser(uid, name) {
    const { path, parse } = databases.passwd;
    const is = (user: User) => user.name === name;
    return (find(readFileSync(path, 'utf8'), parse, is) ?? find(getent('passwd', name), parse, is))?.uid === uid;
  },
  isInGroup(uid, name) {
    const { path, parse } = databases.group;
    const is = (group: Group) => group.name === name;
    const group = find(readFileSync(path, 'utf8'), parse, is) ?? find(getent('group', name), parse, is);
    if (!group) return undefined;
    return userWithUid(uid)?.gid === group.gid || group.members.some((member) => this.isUser(uid, member) === true);
  },
};

function find<T>(text: string, parse: (line: string) => T | undefined, is: (entry: T) => boolean): T | undefined {
  for (const line of text.split('\n')) {
    const entry = parse(line);
    if (entry && is(entry)) return entry;
  }
  return undefined;
}

function getent(database: string, key: string): string {
  // Loaded late: it costs a start some milliseconds, and most entries are in the files.
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

function isNumber(text: string): boolean {
  return /^[0-9]{1,10}$/.test(text);
}
