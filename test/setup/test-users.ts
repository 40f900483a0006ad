import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';

/** An ordinary user that exists for the tests. */
export interface TestUser {
  name: string;
  uid: number;
  gid: number;
}

const names = ['ccapi-test-a', 'ccapi-test-b'] as const;

/** Makes two ordinary users, where that can be done: as root. */
export function addTestUsers(): [] | [TestUser, TestUser] {
  if (process.getuid?.() !== 0) return [];
  removeTestUsers();
  for (const name of names) {
    // No password fits, but the account is not locked, as sshd would have it otherwise.
    const options = ['--no-create-home', '--home-dir', '/nonexistent', '--user-group', '--password', '*'];
    execFileSync('/usr/sbin/useradd', [...options, name]);
  }
  return [passwdEntry(names[0]) as TestUser, passwdEntry(names[1]) as TestUser];
}

/** Takes them away again. */
export function removeTestUsers(): void {
  if (process.getuid?.() !== 0) return;
  for (const name of names) {
    if (passwdEntry(name)) execFileSync('/usr/sbin/userdel', ['--force', name], { stdio: 'ignore' });
  }
}

function passwdEntry(name: string): TestUser | undefined {
  const [, , uid, gid] =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':') ?? [];
  return uid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}
