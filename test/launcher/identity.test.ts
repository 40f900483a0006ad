// What root becomes, and what it hands to a process that becomes a user's.
import { execFileSync } from 'node:child_process';
import {
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { expect, inject, it } from 'vitest';
import { useBeneath } from '../../etc/host/beneath.ts';
import { asUser } from '../../etc/host/identity.ts';
import { afterwards, eventually, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, isPortOpen, programs, run, sendBytes, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const threads = () =>
  readdirSync('/proc/self/task').map((task) => {
    const status = readFileSync(`/proc/self/task/${task}/status`, 'latin1');
    return ['Uid', 'Gid', 'Groups']
      .map((name) => new RegExp(`^${name}:\\t(.*?)[ \\t]*$`, 'm').exec(status)?.[1])
      .join('; ');
  });

describeWith(['root', 'Linux'], 'root that acts as a user', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('has the effective uid, gid and no other group of the user, on one thread', () => {
    const before = threads();
    const during = asUser(alice, threads);
    const { uid, gid } = alice;
    const others = during.filter((ids, i) => ids === before[i]);
    expect(during).toContain(`0\t${uid}\t0\t${uid}; 0\t${gid}\t0\t${gid}; ${gid}`);
    expect(others).toHaveLength(before.length - 1);
    expect(threads()).toEqual(before);
  });

  it('is root again where the action fails', () => {
    const before = threads();
    expect(() => asUser(alice, () => readFileSync('/etc/shadow'))).toThrow('EACCES');
    expect(threads()).toEqual(before);
  });

  const module = (name: string) => join(import.meta.dirname, `../../etc/host/${name}.ts`);
  const nodeWith = (lines: string) => {
    const program = `import identity from '${module('identity')}'; ${lines}`;
    return [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
  };

  it('does nothing where the kernel refuses the change', async () => {
    const node = nodeWith(`
      try {
        identity.asUser(${JSON.stringify(alice)}, () => process.stdout.write('acted '));
      } catch (error) {
        process.stdout.write(error.code + ' ' + process.geteuid() + ' ' + process.getegid());
      }`);
    expect(await succeed('/usr/bin/setpriv', ['--bounding-set', '-setuid', ...node])).toBe('EPERM 0 0');
  });

  it('ends where there is no way back to what it was', async () => {
    // The action gives up CAP_SETGID. Source: capset(2), struct __user_cap_header_struct and __user_cap_data_struct.
    const node = nodeWith(`
      import libc from '${module('libc')}';
      const header = Buffer.alloc(8);
      const capabilities = Buffer.alloc(24);
      header.writeUInt32LE(0x20080522, 0);
      capabilities.writeUInt32LE(1 << 7, 4);
      const capset = libc.libc().library.func('int capset(void *, void *)');
      try {
        identity.asUser(${JSON.stringify(alice)}, () => process.stdout.write('capset ' + capset(header, capabilities)));
      } finally {
        process.stdout.write(' went on');
      }`);
    const { code, stdout } = await run('/bin/sh', ['-c', 'ulimit -c 0; "$@"; echo " $?"', 'sh', ...node]);
    expect([code, stdout]).toEqual([0, 'capset 0 134\n']);
  });

  it("reaches nothing that only root's group may reach", () => {
    const directory = temporaryDirectory();
    writeFileSync(`${directory}/file`, '', { mode: 0o660 });
    expect(() => asUser(alice, () => openSync(`${directory}/file`, 'r+'))).toThrow('EACCES');
  });
});

describeWith(['root', 'Linux'], 'a way beneath a directory', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  const use = (root: string, relative: string) =>
    useBeneath({ user: alice, root, relative, mounts: 'tmpfs' }, (path) => statSync(path).ino);

  it('leads to what is there', () => {
    const root = temporaryDirectory();
    mkdirSync(`${root}/a/b`, { recursive: true });
    expect(use(root, 'a/b')).toBe(statSync(`${root}/a/b`).ino);
    expect(() => use(root, 'a/c')).toThrow('ENOENT');
  });

  it('follows no link', () => {
    const root = temporaryDirectory();
    mkdirSync(`${root}/a`);
    symlinkSync('/etc', `${root}/etc`);
    symlinkSync('a', `${root}/link`);
    expect(() => use(root, 'etc/passwd')).toThrow('ENOTDIR');
    expect(() => use(root, 'link/x')).toThrow('ENOTDIR');
  });

  it('enters no other file system than a tmpfs', () => {
    // A second time without the list of mounts, which is not read again for a uid that it was read for in vain.
    for (let time = 0; time < 2; time++) {
      expect(use('/dev', 'shm')).toBe(statSync('/dev/shm').ino);
      expect(() => use('/', 'proc/self')).toThrow('EXDEV');
      expect(() => use('/', 'sys/kernel')).toThrow('EXDEV');
    }
  });

  it('enters local file systems where those are allowed, and none of a network or of a process', () => {
    const local = (root: string, relative: string) =>
      useBeneath({ user: alice, root, relative, mounts: 'local' }, (path) => statSync(path).ino);
    expect(local('/', 'dev/shm')).toBe(statSync('/dev/shm').ino);
    expect(local('/dev', 'shm')).toBe(statSync('/dev/shm').ino);
    const link = `${temporaryDirectory()}/link`;
    symlinkSync('/etc', link);
    expect(() => local(link, 'passwd')).toThrow('ENOTDIR');
  });

  it('leaves no descriptor open', () => {
    const root = temporaryDirectory();
    mkdirSync(`${root}/a/b`, { recursive: true });
    const before = readdirSync('/proc/self/fd').length;
    for (let i = 0; i < 20; i++) {
      expect(() => use('/', 'proc/self')).toThrow();
      use(root, 'a/b');
    }
    expect(readdirSync('/proc/self/fd')).toHaveLength(before);
  });

  it('connects to no socket that is closed to the user', async () => {
    const root = temporaryDirectory();
    const server = createServer().listen(`${root}/socket`);
    afterwards(() => void server.close());
    await eventually(() => statSync(`${root}/socket`, { throwIfNoEntry: false }));
    execFileSync('/bin/chmod', ['660', `${root}/socket`]);
    expect(() =>
      useBeneath({ user: alice, root, relative: 'socket', mounts: 'tmpfs' }, (path) => openSync(path, 'r+')),
    ).toThrow(/EACCES|ENXIO/);
  });
});

describeWith(['root', 'Linux'], 'a worker that a root shell’s launcher starts', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('has none of the descriptors, groups and limits that the shell has left it', async () => {
    const directory = temporaryDirectory(memory);
    const base = `${directory}/run`;
    const port = await freePort();
    writeFileSync(`${directory}/secret`, 'secret', { mode: 0o600 });
    // As a shell that holds a lock by "exec 200>file" has it; above what this process was itself left with.
    const secret = `${directory}/secret`;
    const shell = `exec 900<>${secret} 901<${secret} 902>${secret}; ulimit -c unlimited; exec "$@"`;
    const launcher = [process.execPath, programs.launcher, '--listen', String(port), `--directory=${base}`];
    start('/usr/bin/setpriv', ['--groups=0,4,42', '/bin/bash', '-c', shell, 'bash', ...launcher], {
      env: cleanEnvironment(),
      stdio: 'ignore',
    });
    await eventually(() => isPortOpen(port));
    expect(await sendBytes({ host: '127.0.0.1', port }, `${alice.uid}\n`)).toContain('/S.ccapi');
    const [worker] = workersBelow(base) as [number];
    const targets = readdirSync(`/proc/${worker}/fd`).map((fd) => readlinkSync(`/proc/${worker}/fd/${fd}`));
    expect(targets.filter((target) => target.includes('secret'))).toEqual([]);
    const { uid, gid } = alice;
    expect(readFileSync(`/proc/${worker}/status`, 'latin1')).toMatch(
      new RegExp(`^Uid:(\\t${uid}){4}\nGid:(\\t${gid}){4}\n.*\nGroups:\\t *$`, 'm'),
    );
    expect(readFileSync(`/proc/${worker}/limits`, 'latin1')).toMatch(/^Max core file size +0 +0 /m);
    // One that may leave a core, or be looked into, would be its user's here.
    expect(statSync(`/proc/${worker}/mem`).uid).toBe(0);
  });
});

describeWith(['root', 'Linux', 'keyutils'], 'the session keyring of a root shell', () => {
  const [alice] = inject('users') as [TestUser, TestUser];
  const module = join(import.meta.dirname, '../../etc/host/identity.ts');

  /** What a child finds of a key of the shell's, after these lines of a program of ours. */
  const keyAfter = (lines: string) => {
    const program = `import identity from '${module}'; import { spawnSync } from 'node:child_process'; ${lines};
      process.stdout.write(spawnSync('keyctl', ['search', '@s', 'user', 'ccapi-test']).status === 0 ? 'found' : 'none');`;
    const shell = `keyctl add user ccapi-test secret @s >/dev/null && exec "$@"`;
    const node = [process.execPath, '--import', import.meta.resolve('tsx'), '--input-type=module', '-e', program];
    return succeed('/usr/bin/keyctl', ['session', '-', '/bin/sh', '-c', shell, 'sh', ...node]);
  };

  it.each([
    ['is inherited by a child', '', 'found'],
    ['is not that of a worker of the same user', 'identity.becomeUser({ uid: process.getuid() })', 'none'],
    ['is not the user’s who root became', 'identity.becomeUser(JSON.parse(process.env.USER_IDS))', 'none'],
  ])('%s', async (_, lines, expected) => {
    const ids = JSON.stringify(JSON.stringify(alice));
    expect(await keyAfter(lines.replace('process.env.USER_IDS', ids))).toContain(expected);
  });
});
