// A launcher that a person starts: what it says, and what it says of mistakes.
import { once } from 'node:events';
import { chownSync, existsSync, readdirSync, statSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { describe, expect, inject, it } from 'vitest';
import { afterwards, end, eventually, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { installed, startPrivateMachine } from '../setup/private-machine.ts';
import { cleanEnvironment, freePort, programs, run, sendBytes, startLauncher, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const launcher = (...args: string[]) => run(process.execPath, [programs.launcher, ...args]);

describe('a mistake is told in a line, and the exit code is 2', () => {
  it.each([
    [['--listen', '--frobnicate'], "Unknown option '--frobnicate'"],
    [['--listen', `/${'x'.repeat(107)}`], "longer than a socket's path may be: 107 bytes"],
    [['--listen', '/etc/passwd'], '--listen /etc/passwd: something that is no socket is there'],
    [['--listen', '/nonexistent/socket'], 'cannot listen at /nonexistent/socket: ENOENT'],
    [['--listen', 'http'], '--listen "http": expected [ADDRESS:]PORT or /path'],
    [['--listen', '70000'], '--listen "70000": expected [ADDRESS:]PORT or /path'],
    [['--listen', '0.0.0.0:7789'], '--listen "0.0.0.0:7789": only loopback addresses are served'],
    [['--listen', 'localhost:7789'], 'only loopback addresses are served'],
    [['--listen', '[::]:7789'], 'only loopback addresses are served'],
    [['--listen', '--port=x'], '--port: "x" is not a number from 1 to 65535'],
    [['--listen', '--directory=x'], '--directory: "x" is not an absolute path'],
  ])('%j', async (args, message) => {
    const { code, stdout, stderr } = await launcher(...args);
    expect([code, stdout]).toEqual([2, '']);
    expect(stderr).toMatch(/^ccapi-launcher: error: [^\n]+\n$/);
    expect(stderr).toContain(message);
  });

  it('a port that is taken', async () => {
    const port = await freePort();
    const taken = createServer();
    await new Promise<void>((resolve) => taken.listen(port, '127.0.0.1', resolve));
    afterwards(() => void taken.close());
    const { code, stderr } = await launcher('--listen', String(port));
    expect([code, stderr]).toEqual([2, expect.stringContaining(`port ${port}: something listens there already`)]);
  });
});

describe('at a path', () => {
  const at = () => `${temporaryDirectory()}/front`;

  it('it serves rendezvous, is open to its own uid alone unless root listens, and goes when it is told to', async () => {
    const path = at();
    const base = `${temporaryDirectory()}/run`;
    const { launcher } = await startLauncher([path, `--directory=${base}`]);
    expect(statSync(path).mode & 0o777).toBe(process.getuid?.() === 0 ? 0o666 : 0o600);
    const uid = process.getuid?.();
    expect(await sendBytes({ path }, `${uid}\n`)).toBe(`${base}/${uid}/S.ccapi\n`);
    await end(launcher);
    expect(existsSync(path)).toBe(false);
  });

  it('another is refused while the first one listens, and takes its place once that was killed', async () => {
    const path = at();
    const { launcher: first } = await startLauncher([path]);
    const refused = await launcher('--listen', path);
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining('something listens there already')]);
    await end(first, 'SIGKILL');
    expect(existsSync(path)).toBe(true);
    await startLauncher([path]);
    expect(await sendBytes({ path }, 'CCAPI/2\n')).toContain('code=version');
  });
});

it('--help shows every setting, and what prints the samples', async () => {
  const { code, stdout } = await launcher('--help');
  expect(code).toBe(0);
  expect(stdout).toContain('  --print-inetd-entry\n');
  for (const option of ['port', 'directory', 'idle-timeout', 'verify-uid']) expect(stdout).toContain(`--${option} `);
});

it('listens on the one address that it is told', async () => {
  const base = `${temporaryDirectory()}/run`;
  const { port } = await startLauncher([`--directory=${base}`]);
  expect(await sendBytes({ host: '::1', port }, 'CCAPI/2\n')).toContain('code=version');
  expect(await sendBytes({ host: '127.0.0.1', port }, 'CCAPI/2\n')).toContain('code=version');
});

it('without root serves no other user', async () => {
  const [user] = inject('users');
  const uid = user?.uid ?? (process.getuid?.() as number);
  const settings = [`--directory=${temporaryDirectory()}/run`, '--verify-uid=no'];
  const { port } = await startLauncher(settings, user && { uid: user.uid, gid: user.gid });
  const answer = await sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid + 1}\n`);
  expect(answer).toMatch(
    /^CCAPI\/1 error code=cannot-become-uid message=this launcher runs as uid \d+ and cannot serve/,
  );
});

describeWith(['root', 'Linux', 'netcat-openbsd'], 'the settings of a launcher', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];

  it('verify_uid = no answers a claim without asking the kernel; the path is of no use to others', async () => {
    const base = `${temporaryDirectory()}/run`;
    const { port } = await startLauncher([`--directory=${base}`, '--verify-uid=no']);
    const { uid, gid } = alice;
    const asked = { uid, gid, input: `CCAPI/1 uid=${bob.uid}\n` };
    const path = `${base}/${bob.uid}/S.ccapi`;
    expect((await run('/bin/nc.openbsd', ['127.0.0.1', String(port)], asked)).stdout).toBe(`CCAPI/1 ok path=${path}\n`);
    expect((await run('/bin/nc.openbsd', ['-U', path], { uid, gid })).stderr).toContain('Permission denied');
  });

  it('unknown_uids = allow serves a uid that the passwd database lacks, in no group that means anything', async () => {
    const base = `${temporaryDirectory()}/run`;
    const { port } = await startLauncher([`--directory=${base}`, '--unknown-uids=allow']);
    expect(await sendBytes({ host: '127.0.0.1', port }, '3999999999\n')).toBe(`${base}/3999999999/S.ccapi\n`);
    const { stdout } = await run('/bin/cat', [`/proc/${workersBelow(base)[0]}/status`]);
    expect(stdout).toMatch(/^Uid:\s+3999999999\s+3999999999\s+3999999999\s+3999999999\nGid:\s+65534\s/m);
  });
});

it('names in allow and deny that no database has are told at the start, and with each change', async () => {
  const directory = temporaryDirectory();
  const conf = `${directory}/krb5.conf`;
  writeFileSync(conf, '[ccapi]\n deny = no-such-user\n');
  const { launcher, stderr } = await startLauncher([`--directory=${directory}/run`], { env: { KRB5_CONFIG: conf } });
  const told = (name: string) => `allow or deny: ${name}: no database has this name; correct it in krb5.conf`;
  await eventually(() => stderr().includes(told('no-such-user')));
  writeFileSync(conf, '[ccapi]\n deny = no-such-user-either\n');
  launcher.kill('SIGHUP');
  await eventually(() => stderr().includes(told('no-such-user-either')));
});

describeWith(['Linux'], 'a launcher with few descriptors', () => {
  it('has a uid’s silent connections make room early', async () => {
    const port = await freePort();
    const args = [programs.launcher, '--listen', String(port), `--directory=${temporaryDirectory()}/run`];
    const few = start('/bin/sh', ['-c', 'ulimit -n 128; exec "$@"', 'sh', process.execPath, ...args], {
      env: cleanEnvironment(),
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    await once(few.stdout as Readable, 'data');
    // A quarter of what is left beside 64, where each connection may need a second one.
    const silent = Array.from({ length: 8 }, () => connect(port, '127.0.0.1').resume());
    const [first] = silent as [Socket];
    const closed = once(first, 'close');
    for (const socket of silent) await once(socket, 'connect');
    silent.push(connect(port, '127.0.0.1'));
    await closed;
    // Else it would have been told that its line does not come.
    expect(first.bytesRead).toBe(0);
    for (const socket of silent) socket.destroy();
  });

  it('answers that it can start no worker where none is left, and starts one once there are some again', async () => {
    const { launcher, port, stderr } = await startLauncher([`--directory=${temporaryDirectory()}/run`]);
    const ask = () => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${process.getuid?.()}\n`);
    const limit = (...args: string[]) => succeed('/usr/bin/prlimit', [`--pid=${launcher.pid}`, ...args]);
    const most = (await limit('--nofile', '--output=SOFT', '--noheadings')).trim();
    // Enough for a connection, and for no child's pipes beside it.
    await limit(`--nofile=${readdirSync(`/proc/${launcher.pid}/fd`).length + 6}:`);
    expect(await ask()).toBe('CCAPI/1 error code=worker message=no worker can be started: no descriptor is left\n');
    await limit(`--nofile=${most}:`);
    expect(await ask()).toContain('CCAPI/1 ok path=');
    expect(stderr()).not.toContain('internal error');
  });
});

describeWith(['root', 'Linux'], 'a launcher that may have no further process', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('answers why the worker could not be started, and does not count it', async () => {
    const base = temporaryDirectory();
    chownSync(base, alice.uid, alice.gid);
    const args = [`--directory=${base}`, '--scope=session', '--max-sessions=1'];
    const { launcher, port } = await startLauncher(args, { uid: alice.uid, gid: alice.gid });
    const ask = (name: string) => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${alice.uid} session=${name}\n`);
    const limit = (...words: string[]) => succeed('/usr/bin/prlimit', [`--pid=${launcher.pid}`, ...words], alice);
    const most = (await limit('--nproc', '--output=SOFT', '--noheadings')).trim();
    await limit('--nproc=1:');
    const why = `the worker of uid ${alice.uid} could not be started: spawn ${process.execPath} EAGAIN`;
    expect(await ask('a')).toBe(`CCAPI/1 error code=worker message=${why}\n`);
    await limit(`--nproc=${most}:`);
    expect(await ask('b')).toContain('CCAPI/1 ok path=');
  });
});

describeWith(['root', 'Linux', 'iproute2'], 'a second user of a machine', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];

  it('gets the next port, is told so, and is refused a second launcher', async () => {
    const machine = await startPrivateMachine();
    await machine.startNode(bob, [installed.launcher, '--listen']);
    const started = await machine.startNode(alice, [installed.launcher, '--listen']);
    await eventually(() => started.stdout().includes(`CCAPI_PORT=7790 node ${installed.ccapi} list`));
    const env = { CCAPI_PORT: '7790', CCAPI_AUTOSTART: 'no' };
    expect((await machine.ccapi(alice, ['path'], env)).stdout).toContain(`/${alice.uid}/S.ccapi\n`);
    const second = await machine.sh(alice, `${installed.node} ${installed.launcher} --listen`);
    expect([second.code, second.stderr]).toEqual([2, expect.stringContaining('port 7790: something listens there')]);
  });
});
