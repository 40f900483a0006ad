// Tickets that arrive at login, through Debian's own sshd, su, login, PAM and pam_krb5: they are in the server while the login lasts.
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, memory, temporaryDirectory } from '../setup/cleanup.ts';
import { kill } from '../setup/commands.ts';
import { type FrontDoor, frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { type PAMMachine, startPAMMachine } from '../setup/pam-machine.ts';
import { ccapi, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const needs = [...frontDoorRequirements, 'openssh-client', 'openssh-server', 'libpam-krb5', 'python3', 'gcc'] as const;
const [alice, bob] = inject('users') as [TestUser, TestUser];

let machine: FrontDoor;
let there: PAMMachine;

/** Logs in at a terminal of its own with a name and a password, types a line, and prints what came of that. */
const TERMINAL = `
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv('/bin/login', ['login', sys.argv[1]])
said = b''
steps = [(b'assword', sys.argv[2]), (b'$', sys.argv[3] + '; exit')]
while True:
    try:
        read = os.read(terminal, 4096)
    except OSError:
        # login hangs the terminal up, and opens it again.
        if os.waitpid(pid, os.WNOHANG)[0]:
            break
        continue
    said += read
    if steps and steps[0][0] in said:
        os.write(terminal, steps.pop(0)[1].encode() + b'\\n')
        said = b'' if steps else said
sys.stdout.buffer.write(said)`;

async function prepare(settings: string[] = [], aloneTimeout?: string): Promise<void> {
  const base = `${temporaryDirectory(memory)}/run`;
  const principals = [alice.name, bob.name, 'bob', 'host/localhost', 'host/a.test.example'];
  machine = await startFrontDoor(principals, { base, settings, ...(aloneTimeout && { aloneTimeout }) });
  there = await startPAMMachine(machine, [alice, bob]);
}

const klist = async (...args: string[]) => (await machine.as(alice, 'klist', ...args)).stdout;
/** The names of the ccaches outside of all logins. */
const names = async () => ((await klist('-l')).match(/KCM:\S+/g) ?? []).sort();
const path = /^Ticket cache: KCM:FILE:(\/tmp\/krb5cc_\S+)$/m;

describeWith([...needs], 'tickets of a login', () => {
  beforeAll(() => prepare());

  it('by password are in the server, and gone after it', async () => {
    const { code, stdout, stderr } = await there.ssh(alice, 'password', 'klist; kvno host/a.test.example; klist -l');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(path);
    expect(stdout).toContain(`Default principal: ${alice.name}@TEST.EXAMPLE`);
    expect(stdout).toContain('host/a.test.example@TEST.EXAMPLE: kvno = 1');
    await eventually(() => !existsSync(path.exec(stdout)?.[1] as string));
    await eventually(async () => (await names()).length === 0);
  });

  it('by delegation are, too, and what the user had before stays', async () => {
    await machine.as(alice, 'kinit', '-f', '-c', 'KCM:own', alice.name);
    await machine.as(alice, 'kswitch', '-c', 'KCM:own');
    const { code, stdout, stderr } = await there.ssh(alice, 'delegation', 'klist -f; klist -c KCM:own');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(path);
    expect(stdout).toMatch(/Flags: Ff/);
    expect(stdout).toContain('Ticket cache: KCM:own');
    await eventually(async () => (await names()).join() === 'KCM:own');
    expect((await machine.as(alice, 'klist', '-s', '-c', 'KCM:own')).code).toBe(0);
  });

  it('leave what the user has made in it: another ccache, and its own one begun anew', async () => {
    const kinit = `echo '${machine.kdc.password}' | kinit`;
    const { code, stdout } = await there.ssh(
      alice,
      'delegation',
      `${kinit} ${alice.name} && ${kinit} -c KCM:made bob && klist`,
    );
    expect(code).toBe(0);
    const [, file] = path.exec(stdout) as unknown as [string, string];
    await eventually(() => !existsSync(file));
    expect(await names()).toEqual([`KCM:FILE:${file}`, 'KCM:made', 'KCM:own']);
    for (const name of [`KCM:FILE:${file}`, 'KCM:made']) await machine.as(alice, 'kdestroy', '-c', name);
  });

  it('are destroyed with the file that they came in', async () => {
    const line = 'klist; kdestroy; klist -s || echo gone; ls -d $(echo "$KRB5CCNAME" | cut -d: -f3)';
    const { stdout, stderr } = await there.ssh(alice, 'delegation', line);
    expect(stdout).toMatch(path);
    expect(stdout).toMatch(/gone\n$/);
    expect(stderr).toContain('No such file or directory');
  });

  it('are each its own, of 30 at once', async () => {
    const logins = Array.from({ length: 30 }, (_, i) =>
      there.ssh(alice, i % 3 === 0 ? 'password' : 'delegation', 'kvno host/a.test.example && klist'),
    );
    const outcomes = await Promise.all(logins);
    expect(outcomes.map(({ code, stderr }) => `${code} ${stderr}`)).toEqual(Array(30).fill('0 '));
    const paths = outcomes.map(({ stdout }) => path.exec(stdout)?.[1]);
    expect(new Set(paths).size).toBe(30);
    await eventually(async () => (await names()).join() === 'KCM:own');
  });

  it('are gone also where no server ran when the login ended', async () => {
    const held = `${there.home(alice)}/held`;
    await there.run('/usr/bin/mkfifo', [held], { uid: alice.uid, gid: alice.gid });
    const login = there.ssh(alice, 'delegation', `klist -s && cat ${held}`);
    await eventually(async () => (await names()).length === 2);
    await kill(machine, alice.uid);
    writeFileSync(held, 'go on');
    expect(await login).toMatchObject({ code: 0, stdout: 'go on' });
    expect(await names()).toEqual(['KCM:own']);
  });

  it('by su are those of the user that one becomes', async () => {
    const { code, stdout, stderr } = await there.run('/usr/bin/su', [bob.name, '-c', 'klist'], {
      uid: alice.uid,
      gid: alice.gid,
      env: { KRB5_CONFIG: '/etc/krb5.conf', KRB5CCNAME: 'KCM:own' },
      input: `${machine.kdc.password}\n`,
    });
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(path);
    expect(stdout).toContain(`Default principal: ${bob.name}@TEST.EXAMPLE`);
    await eventually(async () => (await machine.as(bob, 'klist', '-A')).stdout === '');
  });

  it('by login at a terminal are, too', async () => {
    const args = ['-c', TERMINAL, alice.name, machine.kdc.password, 'klist'];
    const { code, stdout, stderr } = await there.run('/usr/bin/python3', args);
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(/^Ticket cache: KCM:FILE:\/tmp\/krb5cc_\S+\r$/m);
    await eventually(async () => (await names()).join() === 'KCM:own');
  });

  it('are taken from no file of another user, none that others can read, and over no link', async () => {
    const directory = temporaryDirectory();
    const file = `${directory}/krb5cc_file`;
    await succeed('/usr/bin/kinit', ['-c', `FILE:${file}`, alice.name], {
      env: { KRB5_CONFIG: machine.kdc.krb5Conf },
      input: `${machine.kdc.password}\n`,
    });
    const found = async (name = file) => (await machine.as(alice, 'klist', '-c', `KCM:FILE:${name}`)).code === 0;
    const sh = (script: string) => succeed('/bin/sh', ['-ec', script]);
    expect(await found()).toBe(false);
    await sh(`chown ${alice.uid} ${file}; chmod 640 ${file}`);
    expect(await found()).toBe(false);
    await sh(`chmod 600 ${file}; ln -s ${file} ${file}.link; ln -s ${directory} ${directory}/to`);
    for (const name of [`${file}.link`, `${directory}/to/krb5cc_file`, `${directory}/../x`]) {
      expect(await found(name)).toBe(false);
    }
    await sh(`ln ${file} ${file}.second`);
    expect(await found()).toBe(false);
    await sh(`rm ${file}.second; mkfifo ${file}.fifo; chown ${alice.uid} ${file}.fifo; chmod 600 ${file}.fifo`);
    expect(await found(`${file}.fifo`)).toBe(false);
    expect(await found()).toBe(true);
    // What sshd or pam_krb5 writes there later is taken in.
    await succeed('/usr/bin/kinit', ['-c', `FILE:${file}.new`, 'bob'], {
      env: { KRB5_CONFIG: machine.kdc.krb5Conf },
      input: `${machine.kdc.password}\n`,
    });
    await sh(`chown ${alice.uid} ${file}.new; mv ${file}.new ${file}`);
    await eventually(async () => (await klist('-c', `KCM:FILE:${file}`)).includes('Default principal: bob@'));
    // A copy is the user's own, also for the next server.
    const copy = `FILE:${there.home(alice)}/copy`;
    const ours = { uid: alice.uid, gid: alice.gid, env: machine.env };
    for (const args of [
      ['export', '-c', `FILE:${file}`, copy],
      ['import', '-c', 'copy', copy],
    ]) {
      expect(await ccapi(args, ours)).toMatchObject({ code: 0, stderr: '' });
    }
    await sh(`rm ${file}`);
    await eventually(async () => !(await found()));
    await kill(machine, alice.uid);
    expect(await names()).toEqual(['KCM:copy', 'KCM:own']);
    await machine.as(alice, 'kdestroy', '-c', 'KCM:copy');
  });

  it('bring nothing that runs as root into an environment of the user’s', async () => {
    // Debian's sshd has PAM read that file: whatever PAM runs as root after it loads the user's library.
    const log = `${there.home(alice)}/loaded`;
    const library = `${there.home(alice)}/library.so`;
    const source = `#include <stdio.h>
#include <unistd.h>
__attribute__((constructor)) static void load(void) {
  FILE *log = fopen("${log}", "a");
  if (log) fprintf(log, "%d %d\\n", getuid(), geteuid()), fclose(log);
}`;
    await succeed('/usr/bin/gcc', ['-shared', '-fPIC', '-o', library, '-x', 'c', '-'], { input: source });
    writeFileSync(`${there.home(alice)}/.pam_environment`, `LD_PRELOAD DEFAULT=${library}\n`);
    const { code, stdout } = await there.ssh(alice, 'password', 'klist');
    expect(code).toBe(0);
    expect(stdout).toMatch(path);
    await eventually(async () => (await names()).join() === 'KCM:own');
    const loaded = new Set(readFileSync(log, 'utf8').trim().split('\n'));
    expect([...loaded]).toEqual([`${alice.uid} ${alice.uid}`]);
  });

  it('would be root’s by `pam_krb5 ccache=KCM:`, and take its default ccache away', async () => {
    await machine.as(undefined, 'kinit', 'bob');
    await there.run('/usr/bin/sed', ['-i', 's/pam_krb5.so/& ccache=KCM:/', '/etc/pam.d/common-auth']);
    await there.run('/usr/bin/sed', ['-i', 's/pam_krb5.so/& ccache=KCM:/', '/etc/pam.d/common-session']);
    expect((await machine.as(undefined, 'klist', '-s')).code).toBe(0);
    expect(await there.ssh(alice, 'password', 'klist -A')).toMatchObject({ stdout: '' });
    await eventually(async () => (await machine.as(undefined, 'klist', '-s')).code === 1);
  });
});

describeWith([...needs], 'with scope = session, tickets of a login', () => {
  beforeAll(() => prepare([' scope = session'], '2'));

  it('are its own, and all that was made in it goes with it', async () => {
    await machine.as(alice, 'kinit', alice.name);
    const kinit = `echo '${machine.kdc.password}' | kinit`;
    const line = `${kinit} -c KCM:made bob; kvno host/a.test.example; klist; klist -l`;
    const outcomes = await Promise.all(
      Array.from({ length: 6 }, (_, i) => there.ssh(alice, i % 2 === 0 ? 'password' : 'delegation', line)),
    );
    for (const { code, stdout, stderr } of outcomes) {
      expect(code, stderr).toBe(0);
      expect(stdout).toMatch(path);
      expect(stdout.match(/ KCM:\S+/g)?.length).toBeGreaterThanOrEqual(2);
    }
    const kept = () => {
      const sessions = readdirSync(`${machine.base}/${alice.uid}`).filter((name) => name !== 's.0');
      const files = sessions.flatMap((name) => {
        const caches = `${machine.base}/${alice.uid}/${name}/caches`;
        return existsSync(caches) ? readdirSync(caches) : [];
      });
      return files.filter((name) => name.startsWith('tkt'));
    };
    await eventually(() => kept().length === 0);
    expect(await klist('-l')).toContain(alice.name);
  });

  it('go with their file, and no other of the session does', async () => {
    await machine.as(alice, 'kinit', alice.name);
    const kinit = `echo '${machine.kdc.password}' | kinit`;
    const second = `${there.home(alice)}/krb5cc_second`;
    const lines = [
      `${kinit} -c KCM:made bob`,
      `${kinit} -c FILE:${second} ${alice.name}`,
      `klist -s -c KCM:FILE:${second} && rm ${second}`,
      `while klist -s -c KCM:FILE:${second}; do :; done`,
      'klist -s -c KCM:made && klist',
    ];
    const { code, stdout, stderr } = await there.ssh(alice, 'delegation', lines.join(' && '));
    expect(code, stderr).toBe(0);
    expect(stdout).toMatch(path);
  });
});
