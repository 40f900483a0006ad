// A user without root has each shell lead stock programs to a server of their own, and takes that back.
import { chownSync, existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, inject, it } from 'vitest';
import { afterwards, endWorkersBelow, temporaryDirectory } from '../setup/cleanup.ts';
import { type Kdc, startKdc } from '../setup/kdc.ts';
import { ccapi, programs, run } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const [user] = inject('users');
const identity = user ? { uid: user.uid, gid: user.gid } : {};
let home: string;
let env: NodeJS.ProcessEnv;

/** A file of the user's. */
const write = (name: string, text: string) => {
  writeFileSync(join(home, name), text);
  if (user) chownSync(join(home, name), user.uid, user.gid);
};
const read = (name: string) => readFileSync(join(home, name), 'utf8');
const setup = (...args: string[]) => ccapi(['setup', ...args], { ...identity, env });

beforeEach(() => {
  home = join(temporaryDirectory(), 'home');
  mkdirSync(home, { mode: 0o700 });
  if (user) chownSync(home, user.uid, user.gid);
  env = { HOME: home, SHELL: '/bin/bash', CCAPI_PORT: '1', XDG_RUNTIME_DIR: home };
  afterwards(() => endWorkersBelow(home));
});

describeWith(['root', 'Linux'], 'ccapi setup', () => {
  it('writes one line between marks, once, and leaves the file as it was', async () => {
    write('.bashrc', '# my own\nset -o vi');
    expect((await setup('--dry-run')).stdout).toContain(`--- ${home}/.bashrc\n`);
    expect(readdirSync(home)).toEqual(['.bashrc']);
    expect(await setup('--yes')).toEqual({
      code: 0,
      stdout: `write ${home}/.bashrc\nset up. Now, in a new shell: kinit, klist, ccapi doctor\n`,
      stderr: '',
    });
    expect(read('.bashrc')).toContain(
      `[ ! -r '${programs.ccapi}' ] || eval "$('${process.execPath}' '${programs.ccapi}' env -s)"\n`,
    );
    expect((await setup('--yes')).stdout).toBe('all is set up already\n');
    expect((await setup('--undo', '--yes')).stdout).toBe(`write ${home}/.bashrc\n`);
    expect(read('.bashrc')).toBe('# my own\nset -o vi');
    expect((await setup('--undo', '--yes')).stdout).toBe('nothing is set up\n');
    expect(readdirSync(home)).toEqual(['.bashrc']);
  });

  it('is not for root, asks nothing without a terminal, and says what excludes what', async () => {
    expect(await ccapi(['setup', '--yes'], { env })).toMatchObject({ code: 1, stdout: '' });
    expect(await setup()).toMatchObject({ code: 2, stderr: expect.stringContaining('say --yes, or --dry-run') });
    expect(await setup('--yes', '--dry-run')).toMatchObject({ code: 2, stdout: '' });
    expect(readdirSync(home)).toEqual([]);
  });
});

describeWith(['root', 'krb5-kdc', 'krb5-admin-server', 'krb5-user', 'fish', 'zsh'], 'after ccapi setup', () => {
  let kdc: Kdc;
  beforeEach(async () => {
    kdc ??= await startKdc(['alice']);
  });

  describe.each([
    ['bash', '-ic', '.bashrc'],
    ['zsh', '-ic', '.zshrc'],
    ['fish', '-c', '.config/fish/config.fish'],
    ['sh', '-lc', '.profile'],
  ])('each new %s', (shell, option, file) => {
    it('has stock programs come to the server, and starts all the same without the package', async () => {
      env = { ...env, SHELL: `/bin/${shell}`, KRB5_CONFIG: kdc.krb5Conf };
      mkdirSync(join(home, '.config/fish'), { recursive: true });
      if (user) for (const name of ['.config', '.config/fish']) chownSync(join(home, name), user.uid, user.gid);
      expect(await setup('--yes')).toMatchObject({ code: 0, stderr: '' });
      const typed = (line: string) =>
        run(`/usr/bin/env`, [shell, option, line], { ...identity, env, input: `${kdc.password}\n` });
      expect((await typed('kinit alice; klist')).stdout).toMatch(/Ticket cache: KCM:\d+\nDefault principal: alice@/);
      write(file, read(file).replaceAll(programs.ccapi, '/nonexistent/ccapi.js'));
      expect((await typed('echo $KRB5_CONFIG')).stdout).toBe(`${kdc.krb5Conf}\n`);
      expect((await setup('--undo', '--yes')).code).toBe(0);
      expect(existsSync(join(home, file))).toBe(false);
    });
  });
});
