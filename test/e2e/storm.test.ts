// Any number of simultaneous askers get the same worker.
import { lstatSync, rmSync, symlinkSync } from 'node:fs';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { endProgramsBelow, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { startInetdFor } from '../setup/inetd.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describe('200 askers at once of a launcher that runs by hand', () => {
  it('get 200 equal answers and one worker', async () => {
    const base = `${temporaryDirectory()}/run`;
    const { port } = await startLauncher([`--directory=${base}`]);
    await expectOneWorker(port, base, process.getuid?.() as number);
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd'], '200 askers at once under openbsd-inetd', () => {
  const [user] = inject('users') as [TestUser, TestUser];

  describe.each([{ wait: true }, { wait: false }])('wait = $wait', ({ wait }) => {
    let base: string;
    let port: number;

    beforeAll(async () => {
      ({ base, port } = await startInetdFor({ address: '127.0.0.1', wait }));
    });

    it('get 200 equal answers and one worker', () => expectOneWorker(port, base, user.uid));

    it('and so they do who all find the lock of a launcher that was killed, and may all take it', async () => {
      await endProgramsBelow(base);
      rmSync(`${base}/${user.uid}`, { recursive: true });
      symlinkSync('1.1', `${base}/${user.uid}.lock`);
      await expectOneWorker(port, base, user.uid);
      expect(lstatSync(`${base}/${user.uid}.lock`, { throwIfNoEntry: false })).toBeUndefined();
    });
  });
});

async function expectOneWorker(port: number, base: string, uid: number): Promise<void> {
  const ask = () => sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`);
  const answers = await Promise.all(Array.from({ length: 200 }, ask));
  expect(new Set(answers)).toEqual(new Set([`CCAPI/1 ok path=${base}/${uid}/S.ccapi\n`]));
  expect(workersBelow(base)).toHaveLength(1);
}
