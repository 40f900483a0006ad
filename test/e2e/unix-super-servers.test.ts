// The front door under each of the super-servers that listen on UNIX sockets: rendezvous, CCAPI and KCM by one path.
import { readFileSync, statSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { ccapi, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { unixSuperServers } from '../setup/super-servers.ts';
import type { TestUser } from '../setup/test-users.ts';

describe.each(unixSuperServers)('$name', ({ needs, start }) => {
  describeWith(['root', 'Linux', 'netcat-openbsd', 'krb5-user', ...needs], 'at a path', () => {
    const [alice, bob] = inject('users') as [TestUser, TestUser];
    let base: string;
    let path: string;
    let krb5Conf: string;

    beforeAll(async () => {
      const directory = temporaryDirectory();
      [base, path, krb5Conf] = [`${directory}/run`, `${directory}/door`, `${directory}/krb5.conf`];
      writeFileSync(krb5Conf, `[libdefaults]\n default_ccache_name = KCM:\n kcm_socket = ${path}\n`);
      await start(directory, { path }, [`--directory=${base}`]);
      // They make it with what the umask leaves, or as they were told to.
      expect(statSync(path).isSocket()).toBe(true);
      await run('/bin/chmod', ['666', path]);
    });

    it('leads each of two users at once to a worker of their own', async () => {
      const lists = [alice, bob].map(({ uid, gid }) =>
        ccapi(['list', '-A', '--json'], { uid, gid, env: { CCAPI_SERVER: `unix://${path}` } }),
      );
      expect(await Promise.all(lists)).toEqual(Array(2).fill({ code: 0, stdout: '[]\n', stderr: '' }));
      const owners = workersBelow(base).map((pid) => /^Uid:\s+(\d+)/m.exec(statusOf(pid))?.[1]);
      expect(owners.sort()).toEqual([alice, bob].map(({ uid }) => String(uid)).sort());
    });

    it('leads stock programs there', async () => {
      const { uid, gid } = alice;
      const klist = await run('/usr/bin/klist', [], { uid, gid, env: { KRB5_CONFIG: krb5Conf } });
      expect(klist.stderr).toMatch(/Credentials cache 'KCM:\d+' not found/);
    });

    it('answers a user that asks for its own uid, and for no other', async () => {
      const { uid, gid } = alice;
      const ask = async (line: string) =>
        (await run('/bin/nc.openbsd', ['-N', '-U', path], { uid, gid, input: `${line}\n` })).stdout;
      expect(await ask(`CCAPI/1 uid=${uid}`)).toBe(`CCAPI/1 ok path=${base}/${uid}/S.ccapi\n`);
      expect(await ask(`CCAPI/1 uid=${bob.uid}`)).toBe(
        `CCAPI/1 error code=not-yours message=uid ${uid} may not ask for uid ${bob.uid}\n`,
      );
      expect(await sendBytes({ path }, `${bob.uid}\n`)).toBe(`${base}/${bob.uid}/S.ccapi\n`);
    });
  });
});

function statusOf(pid: number): string {
  return readFileSync(`/proc/${pid}/status`, 'utf8');
}
