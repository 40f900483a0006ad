// The whole walk under each of the real super-servers, for two ordinary users at once.
import { readFileSync, statSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { isListening } from '../../etc/host/is-listening.ts';
import { eventually, processesOf, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, freePort, run, sendBytes, succeed } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { tcpSuperServers } from '../setup/super-servers.ts';
import type { TestUser } from '../setup/test-users.ts';

describe.each(tcpSuperServers)('$name', ({ needs, address, restarts, start }) => {
  describeWith(['root', 'Linux', 'netcat-openbsd', ...needs], 'the walk', () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    let base: string;
    let port: number;
    const env = () => ({ CCAPI_PORT: String(port), CCAPI_DIRECTORY: base, CCAPI_AUTOSTART: 'no' });
    const askAs = ({ uid, gid }: { uid: number; gid: number }, line: string) =>
      run('/bin/nc.openbsd', [address, String(port)], { uid, gid, input: `${line}\n` });

    beforeAll(async () => {
      const directory = temporaryDirectory();
      [base, port] = [`${directory}/run`, await freePort()];
      await start(directory, { address, port }, [`--directory=${base}`, ...(restarts ? ['--launcher-idle=5'] : [])]);
    });

    it('gives each of two users at once a directory of their own and a worker that runs as them', async () => {
      const paths = await Promise.all([alice, bob].map(({ uid, gid }) => ccapi(['path'], { uid, gid, env: env() })));
      expect(paths.map(({ stdout, stderr }) => stdout + stderr)).toEqual([
        `${base}/${alice.uid}/S.ccapi\n`,
        `${base}/${bob.uid}/S.ccapi\n`,
      ]);
      for (const { uid, gid } of [alice, bob]) {
        const directory = statSync(`${base}/${uid}`);
        expect([directory.mode & 0o7777, directory.uid, directory.gid]).toEqual([0o700, uid, gid]);
        const [worker, ...others] = workersBelow(base).filter((pid) => uidsOf(pid)[0] === uid);
        expect(others).toEqual([]);
        expect(uidsOf(worker as number)).toEqual([uid, uid, uid, uid]);
        expect(status(worker as number, 'Gid')).toEqual([gid, gid, gid, gid].map(String));
        expect(status(worker as number, 'Groups')).toEqual([]);
      }
    });

    it('lets neither reach the socket of the other', async () => {
      for (const [{ uid, gid }, other] of [
        [alice, bob],
        [bob, alice],
      ] as const) {
        const { code, stderr } = await run('/bin/nc.openbsd', ['-U', `${base}/${other.uid}/S.ccapi`], { uid, gid });
        expect(code).not.toBe(0);
        expect(stderr).toContain('Permission denied');
      }
    });

    it("refuses a claim for the other's uid, and starts nothing for it", async () => {
      const { stdout } = await askAs(alice, `CCAPI/1 uid=${bob.uid}`);
      expect(stdout).toBe(`CCAPI/1 error code=not-yours message=uid ${alice.uid} may not ask for uid ${bob.uid}\n`);
      expect((await askAs(alice, 'CCAPI/1 uid=0')).stdout).toContain('code=not-yours');
      expect(() => statSync(`${base}/0`)).toThrow('ENOENT');
    });

    it('answers root for both, in either form', async () => {
      for (const { uid } of [alice, bob]) {
        const path = `${base}/${uid}/S.ccapi`;
        expect(await sendBytes({ host: address, port }, `CCAPI/1 uid=${uid}\n`)).toBe(`CCAPI/1 ok path=${path}\n`);
        expect(await sendBytes({ host: address, port }, `${uid}\n`)).toBe(`${path}\n`);
      }
    });

    it('answers a user with netcat', async () => {
      expect((await askAs(bob, String(bob.uid))).stdout).toBe(`${base}/${bob.uid}/S.ccapi\n`);
    });

    it('refuses a uid that the passwd database does not know', async () => {
      expect(await sendBytes({ host: address, port }, '3999999999\n')).toMatch(
        /^error: the passwd database has no uid/,
      );
    });

    it('scrubs what a worker gets: environment, directory, descriptors', async () => {
      const [worker] = workersBelow(base) as [number];
      const names = readFileSync(`/proc/${worker}/environ`, 'utf8')
        .split('\0')
        .map((entry) => entry.split('=')[0]);
      const wanted = /^(PATH|KRB5_CONFIG|CCAPI_\w+|UV_USE_IO_URING|MALLOC_ARENA_MAX)$/;
      expect(names.filter((name) => name && !wanted.test(name))).toEqual([]);
      expect(await succeed('/bin/readlink', [`/proc/${worker}/cwd`])).toBe('/\n');
      expect(status(worker, 'PPid')).not.toEqual([String(process.pid)]);
    });

    if (restarts) {
      it('leaves when it is idle, and is started again by inetd', async () => {
        await eventually(() => processesOf('ccapi-launcher.js', base).length === 0);
        expect((await ccapi(['path'], { uid: alice.uid, gid: alice.gid, env: env() })).code).toBe(0);
      });
    }

    it('is not asked while the worker runs: the client finds the directory itself', async () => {
      const { uid, gid } = alice;
      const closedPort = await freePort();
      const { stdout } = await ccapi(['path'], { uid, gid, env: { ...env(), CCAPI_PORT: String(closedPort) } });
      expect(stdout).toBe(`${base}/${uid}/S.ccapi\n`);
    });

    it('is asked again when the worker has died, and its dead socket is taken over', async () => {
      const { uid, gid } = bob;
      for (const pid of workersBelow(base)) if (uidsOf(pid)[0] === uid) process.kill(pid, 'SIGKILL');
      await eventually(async () => !(await isListening(`${base}/${uid}/S.ccapi`)));
      expect((await ccapi(['path'], { uid, gid, env: env() })).stdout).toBe(`${base}/${uid}/S.ccapi\n`);
      expect(workersBelow(base).filter((pid) => uidsOf(pid)[0] === uid)).toHaveLength(1);
    });
  });
});

function status(pid: number, field: string): string[] {
  const text = readFileSync(`/proc/${pid}/status`, 'utf8');
  return (new RegExp(`^${field}:[ \\t]*(.*)$`, 'm').exec(text)?.[1] ?? '').split(/\s+/).filter(Boolean);
}

function uidsOf(pid: number): number[] {
  return status(pid, 'Uid').map(Number);
}
