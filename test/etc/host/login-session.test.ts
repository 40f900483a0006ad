// The login session of a process, by the kernel's audit.
import { spawnSync } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { auditSession, NO_SESSION, ownSession } from '../../../etc/host/login-session.ts';
import { temporaryDirectory } from '../../setup/cleanup.ts';
import { cleanEnvironment, succeed } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';

describeWith(['Linux'], 'the login session', () => {
  it('of this process has a name', () => {
    expect(auditSession('self')).toMatch(/^[0-9]+$/);
    expect(ownSession({})).toBe(auditSession('self'));
  });

  it('of a process that is not to be seen is not taken for none', () => {
    const { pid } = spawnSync('true');
    expect(auditSession(pid)).toBeUndefined();
    expect(NO_SESSION).toBe('0');
  });

  it.each([
    ['a number', '17', '17'],
    ['a number on a line', '17\n', '17'],
    ['none', '4294967295', NO_SESSION],
    ['no name', '../17', NO_SESSION],
    ['nothing', '', NO_SESSION],
  ])('of a process for which the kernel says %s', (_, said, expected) => {
    const directory = temporaryDirectory();
    mkdirSync(`${directory}/1`);
    writeFileSync(`${directory}/1/sessionid`, said);
    // A directory of the test's own stands for that of a process in /proc.
    expect(auditSession(`..${directory}/1` as 'self')).toBe(expected);
  });

  it('is what the login says, where that is a name', () => {
    expect(ownSession({ XDG_SESSION_ID: 'c2' })).toBe('c2');
    expect(ownSession({ XDG_SESSION_ID: '../..' })).toBe(auditSession('self'));
  });
});

describeWith(['root', 'Linux'], 'the login session of a program without a login’s word', () => {
  it('is what the kernel says', async () => {
    const module = join(import.meta.dirname, '../../../etc/host/login-session.ts');
    const program = `import session from '${module}'; import { readFileSync } from 'node:fs';
      const said = readFileSync('/proc/self/sessionid', 'utf8');
      process.stdout.write(said.replace('4294967295', '0') + ' ' + session.ownSession({}));`;
    const node = [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
    // Where the kernel lets this shell set its login's uid, it gives it a session with it.
    const shell = 'echo 0 2>/dev/null > /proc/self/loginuid; exec "$@"';
    const [said, own] = (await succeed('/bin/bash', ['-c', shell, 'bash', ...node], { env: cleanEnvironment() })).split(
      ' ',
    );
    expect(own).toBe(said);
  });
});
