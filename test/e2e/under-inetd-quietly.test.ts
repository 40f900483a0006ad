// Under inetd descriptors 0 to 2 are the peer's: what goes wrong goes into the answer and the system log, nowhere else.
import { rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, expect, inject, it } from 'vitest';
import { endProgramsBelow, eventually, processesOf, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { startInetd } from '../setup/inetd.ts';
import { cleanEnvironment, freePort, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { type SystemLog, startSystemLog } from '../setup/system-log.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux', 'openbsd-inetd', 'socat', 'netcat-openbsd'], 'under inetd', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let systemLog: SystemLog;
  let base: string;
  let good: { port: number };
  let bad: { port: number; krb5Conf: string };
  const ask = (port: number, line: string) => sendBytes({ host: '127.0.0.1', port }, `${line}\n`);

  beforeAll(async () => {
    const directory = temporaryDirectory();
    base = `${directory}/run`;
    systemLog = await startSystemLog();
    const { wrapper } = systemLog;
    good = { port: await freePort() };
    bad = { port: await freePort(), krb5Conf: join(directory, 'krb5.conf') };
    writeFileSync(bad.krb5Conf, '[ccapi]\n  idle_timeout = soon\n');
    const harmful = { NODE_OPTIONS: '--no-deprecation', NODE_EXTRA_CA_CERTS: '/x', SECRET: 'x' };
    // What keeps the servers of the tests' users is said on the command line here: all of the environment is looked at.
    const environment = cleanEnvironment({ ...harmful, CCAPI_ALONE_TIMEOUT: undefined });
    const entry = { address: '127.0.0.1', wait: true };
    await startInetd(directory, [{ ...entry, port: good.port }], [`--directory=${base}`, '--alone-timeout=600'], {
      wrapper,
      env: environment,
    });
    const badEnvironment = { ...environment, KRB5_CONFIG: bad.krb5Conf };
    await startInetd(directory, [{ ...entry, port: bad.port, wait: false }], [], { wrapper, env: badEnvironment });
  });

  it('a wrong krb5.conf is answered and logged, naming file, line and key', async () => {
    const message = `${bad.krb5Conf}:2: idle_timeout: "soon" is not a duration`;
    expect(await ask(bad.port, 'CCAPI/1 uid=0')).toContain(`CCAPI/1 error code=config message=${message}`);
    await eventually(() => systemLog.text().includes(message));
    expect(systemLog.text().split(message)).toHaveLength(2);
  });

  it('a refusal is logged for admins alone, with who asked and why', async () => {
    const { uid, gid } = alice;
    await run('/bin/nc.openbsd', ['127.0.0.1', String(good.port)], { uid, gid, input: `CCAPI/1 uid=${bob.uid}\n` });
    await eventually(() => systemLog.text().includes(`uid ${uid} may not ask for uid ${bob.uid}`));
    const [line] = systemLog
      .text()
      .split(/(?=<\d+>)/)
      .filter((text) => text.includes('may not ask'));
    // 84 is AUTHPRIV (10 × 8) and warning (4).
    expect(line).toMatch(/^<84>.*ccapi-launcher\[\d+\]: 127\.0\.0\.1 port \d+ \(uid \d+\): not-yours: /);
  });

  it('a worker gets none of the environment that could change how it runs', async () => {
    expect(await ask(good.port, `CCAPI/1 uid=${alice.uid}`)).toContain('CCAPI/1 ok ');
    const [worker] = workersBelow(base) as [number];
    const { stdout } = await run('/bin/cat', [`/proc/${worker}/environ`]);
    expect(stdout.split('\0').filter(Boolean)).toEqual([
      'PATH=/usr/sbin:/usr/bin:/sbin:/bin',
      'UV_USE_IO_URING=0',
      'MALLOC_ARENA_MAX=1',
      'KRB5_CONFIG=/nonexistent',
    ]);
  });

  it('a worker says when it begins and when it leaves, and why', async () => {
    expect(await ask(good.port, `CCAPI/1 uid=${bob.uid}`)).toContain('CCAPI/1 ok ');
    // 30 is DAEMON (3 × 8) and info (6).
    const line = (text: string) => new RegExp(`<30>.*ccapi-server\\[(\\d+)\\]: ${text}`).exec(systemLog.text());
    const [, pid] = await eventually(() =>
      line(`started: version \\S+, uid ${bob.uid}, directory ${base}/${bob.uid}, 0 ccaches`),
    );
    process.kill(Number(pid), 'SIGTERM');
    expect((await eventually(() => line(`exiting \\(uid ${bob.uid}\\): SIGTERM`)))[1]).toBe(pid);
  });

  it('nothing but the answer reaches the peer', async () => {
    expect(await ask(good.port, 'nonsense')).toBe('error: expected a uid, a number from 0 to 4294967294\n');
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd'], 'where /run cannot be written to', () => {
  // It tells launchers of this run from those of another.
  const OWN = `--purge-expired=${process.pid}s`;
  const wrapper = ['/usr/bin/unshare', '-m', '/bin/sh', '-c', 'mount -t tmpfs -o ro tmpfs /run && exec "$0" "$@"'];
  const start = async (wait: boolean) => {
    const port = await freePort();
    await startInetd(
      temporaryDirectory(),
      [{ address: '127.0.0.1', port, wait }],
      ['--launcher-idle=1', '--idle-timeout=4', OWN],
      {
        wrapper,
      },
    );
    return () => sendBytes({ host: '127.0.0.1', port }, 'CCAPI/1 uid=0\n');
  };

  it('there is a directory of a random name in /tmp, while a worker runs there', async () => {
    const ask = await start(true);
    const answer = await ask();
    const base = baseIn(answer);
    expect([statSync(base).uid, statSync(base).mode & 0o7777]).toEqual([0, 0o755]);
    // The launcher would have left long before the worker does.
    const [worker] = workersBelow(base) as [number];
    for (let i = 0; i < 3; i++) {
      await delay(800);
      expect(await ask()).toBe(answer);
    }
    expect(workersBelow(base)).toEqual([worker]);
    await eventually(() => workersBelow(base).length === 0);
    await eventually(() => processesOf('ccapi-launcher.js', OWN).length === 0);
    const another = baseIn(await ask());
    expect(another).not.toBe(base);
    await endProgramsBelow(another);
    for (const left of [base, another]) rmSync(left, { recursive: true });
  });

  const baseIn = (answer: string) =>
    /^CCAPI\/1 ok path=(\/tmp\/ccapi-\w{6})\/0\/S.ccapi\n$/.exec(answer)?.[1] as string;

  it('a launcher for one connection says that it cannot remember one', async () => {
    const ask = await start(false);
    expect(await ask()).toContain('error code=config message=/run/ccapi cannot be made; set directory in krb5.conf');
  });
});
