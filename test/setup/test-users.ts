import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';

/** An ordinary user that exists for the tests. */
export interface TestUser {
  name: string;
  uid: number;
  gid: number;
}

/** Runs of the tests on one machine have users of their own: these end in the pid of the run. */
const names = [`ccapi-test-a${process.pid}`, `ccapi-test-b${process.pid}`] as const;
const nameOfRun = /^ccapi-test-[ab](\d+)(?=:)/gm;

/** Makes two ordinary users, where that can be done: as root. */
export function addTestUsers(): [] | [TestUser, TestUser] {
  if (process.getuid?.() !== 0) return [];
  removeLeftUsers();
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
  for (const name of names) if (passwdEntry(name)) remove(name);
}

/** Of a run that was killed the users are still there. */
function removeLeftUsers(): void {
  for (const [name, pid] of readFileSync('/etc/passwd', 'utf8').matchAll(nameOfRun)) {
    if (!existsSync(`/proc/${pid}`)) remove(name);
  }
}

function remove(name: string): void {
  execFileSync('/usr/sbin/userdel', ['--force', name], { stdio: 'ignore' });
}

function passwdEntry(name: string): TestUser | undefined {
  const [, , uid, gid] =
    readFileSync('/etc/passwd', 'utf8')
      .split('\n')
      .find((line) => line.startsWith(`${name}:`))
      ?.split(':') ?? [];
  return uid === undefined ? undefined : { name, uid: Number(uid), gid: Number(gid) };
}
