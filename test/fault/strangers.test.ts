// What another user of the machine tries, and what a user tries with root's help: nothing works, and each is logged once.
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  unlinkSync,
} from 'node:fs';
import { createServer, type Socket } from 'node:net';
import type { Readable } from 'node:stream';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { eventually, hasEnded, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { startInetd } from '../setup/inetd.ts';
import { ccapi, cleanEnvironment, freePort, type Outcome, programs, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { type SystemLog, startSystemLog } from '../setup/system-log.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux', 'openbsd-inetd', 'socat', 'netcat-openbsd'], 'a stranger', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let log: SystemLog;
  let base: string;
  let door: string;
  let port: number;
  let worker: number;
  const sh = (user: TestUser, script: string): Promise<Outcome> =>
    run('/bin/sh', ['-c', script], { uid: user.uid, gid: user.gid });
  const own = () => `${base}/${alice.uid}`;

  beforeAll(async () => {
    log = await startSystemLog();
    const directory = temporaryDirectory();
    [base, door, port] = [`${directory}/run`, `${directory}/door`, await freePort()];
    const entries = [
      { address: '127.0.0.1', port, wait: true },
      { address: door, port: 0, wait: true },
    ];
    await startInetd(directory, entries, [`--directory=${base}`, '--persist=always'], { wrapper: log.wrapper });
    const { uid, gid } = alice;
    const env = { CCAPI_DIRECTORY: base, CCAPI_PORT: String(port), CCAPI_AUTOSTART: 'no' };
    expect((await ccapi(['path'], { uid, gid, env })).code).toBe(0);
    worker = workersBelow(base)[0] as number;
  });

  it.each([
    ['connects', () => `nc.openbsd -N -U ${own()}/S.ccapi < /dev/null`],
    ['connects where connections are handed over', () => `nc.openbsd -N -U ${own()}/H.ccapi < /dev/null`],
    ['lists', () => `ls ${own()}`],
    ['reads', () => `cat ${own()}/caches/collection`],
    ['moves the directory', () => `mv ${own()} ${base}/moved`],
    ['removes the directory', () => `rm -rf ${own()} && test ! -e ${own()}`],
    ['puts a directory beside it', () => `mkdir ${base}/99999`],
    ['puts a link beside it', () => `ln -s /tmp ${base}/99999`],
    ['takes the lock', () => `touch ${own()}.lock`],
    ['ends the worker', () => `kill -9 ${worker}`],
    ['looks into its memory', () => `head -c 1 /proc/${worker}/mem`],
    ['looks at its environment', () => `cat /proc/${worker}/environ`],
  ])('%s, in vain', async (_, script) => {
    expect((await sh(bob, script())).code).not.toBe(0);
    expect(workersBelow(base)).toEqual([worker]);
    expect(statSync(own())).toMatchObject({ uid: alice.uid });
  });

  it('of the same uid looks into the memory of the worker, or has it leave a core, in vain', async () => {
    await eventually(async () => (await sh(alice, `head -c 1 /proc/${worker}/environ`)).code !== 0);
    expect((await sh(alice, `cat /proc/${worker}/maps`)).code).not.toBe(0);
    expect((await sh(alice, `ls /proc/${worker}/fd`)).code).not.toBe(0);
    const status = readFileSync(`/proc/${worker}/status`, 'utf8');
    // It has no groups but its user's own.
    expect(/^Groups:[ \t]*(.*?)[ \t]*$/m.exec(status)?.[1]).toMatch(new RegExp(`^(${alice.gid})?$`));
    expect(/^Uid:\s*(.*)$/m.exec(status)?.[1]?.split(/\s+/)).toEqual(Array(4).fill(String(alice.uid)));
  });

  it.each(['at the port', 'at the door'])('claims to be another user, in vain: %s', async (where) => {
    const address = where === 'at the port' ? `127.0.0.1 ${port}` : `-U ${door}`;
    const before = log.text().split('may not ask').length;
    const { stdout } = await sh(bob, `echo CCAPI/1 uid=${alice.uid} | nc.openbsd ${address}`);
    expect(stdout).toContain(`error code=not-yours message=uid ${bob.uid} may not ask for uid ${alice.uid}`);
    await eventually(() => log.text().split('may not ask').length === before + 1);
  });

  it('claims to be another user, in vain: to a launcher that root starts for the connection', async () => {
    const path = `${temporaryDirectory()}/socket`;
    const server = createServer({ pauseOnConnect: true }).listen(path);
    await once(server, 'listening');
    chmodSync(path, 0o666);
    const asking = sh(bob, `echo CCAPI/1 uid=${alice.uid} | nc.openbsd -N -U ${path}`);
    const [connection] = (await once(server, 'connection')) as [Socket];
    const launcher = start(process.execPath, [programs.launcher, '--inetd', `--directory=${base}`], {
      env: cleanEnvironment(),
      stdio: [connection, 'pipe', 'inherit'],
    });
    connection.destroy();
    server.close();
    const [answer] = await once(launcher.stdout as Readable, 'data');
    expect(`${answer}`).toContain(`uid ${bob.uid} may not ask for uid ${alice.uid}`);
    await asking;
  });

  it('has been at the base directory first, in vain', async () => {
    const shared = temporaryDirectory();
    mkdirSync(`${shared}/run`);
    chownSync(`${shared}/run`, bob.uid, bob.gid);
    const other = await freePort();
    const entry = { address: '127.0.0.1', port: other, wait: true };
    await startInetd(shared, [entry], [`--directory=${shared}/run`], { wrapper: log.wrapper });
    const answer = await sendBytes({ host: '127.0.0.1', port: other }, 'CCAPI/1 uid=0\n');
    expect(answer).toContain(`error code=insecure message=${shared}/run must belong to uid 0`);
    await eventually(() => log.text().includes(`${shared}/run must belong to uid 0`));
    expect(log.text().split(`${shared}/run must belong`)).toHaveLength(2);
  });

  describe('who owns the directory', () => {
    it.each([
      ['a link in the place of the directory', () => symlinkSync(mkdtempSync(`${base}/../elsewhere-`), own())],
      [
        'another user’s directory in its place',
        () => {
          mkdirSync(own(), { mode: 0o700 });
          chownSync(own(), bob.uid, bob.gid);
        },
      ],
      [
        'a directory that others may look into',
        () => {
          mkdirSync(own(), { mode: 0o755 });
          chownSync(own(), alice.uid, alice.gid);
        },
      ],
    ])('cannot have root act on %s', async (_, plant) => {
      const pids = workersBelow(base);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await eventually(() => pids.every(hasEnded));
      renameSync(own(), `${own()}.kept`);
      plant();
      const { stdout } = await sh(alice, `echo CCAPI/1 uid=${alice.uid} | nc.openbsd 127.0.0.1 ${port}`);
      expect(stdout).toMatch(/error code=insecure message=/);
      expect(workersBelow(base)).toEqual([]);
      await run('/bin/rm', ['-rf', own()]);
      renameSync(`${own()}.kept`, own());
    });

    it('cannot have the worker write where a link leads', async () => {
      const pids = workersBelow(base);
      for (const pid of pids) process.kill(pid, 'SIGKILL');
      await eventually(() => pids.every(hasEnded));
      const elsewhere = mkdtempSync(`${base}/../elsewhere-`);
      chownSync(elsewhere, alice.uid, alice.gid);
      await sh(alice, `mv ${own()}/caches ${own()}/real && ln -s ${elsewhere} ${own()}/caches`);
      const { stdout } = await sh(alice, `echo CCAPI/1 uid=${alice.uid} | nc.openbsd 127.0.0.1 ${port}`);
      expect(stdout).toContain(`${own()}/caches is not a directory; it is not used`);
      expect((await sh(alice, `ls -A ${elsewhere}`)).stdout).toBe('');
      unlinkSync(`${own()}/caches`);
    });
  });
});
