// A launcher of root's keeps one started worker for the next user: one at a time, and none that this user's would not be like.
import type { ChildProcess } from 'node:child_process';
import { existsSync, writeFileSync } from 'node:fs';
import { beforeEach, expect, inject, it } from 'vitest';
import {
  eventually,
  hasEnded,
  isWaiting,
  memory,
  processesOf,
  temporaryDirectory,
  workersBelow,
} from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

describeWith(['root', 'Linux'], 'a started worker', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let base: string;
  let conf: string;
  let launcher: ChildProcess;
  let stderr: () => string;
  let port: number;

  beforeEach(async () => {
    const directory = temporaryDirectory(memory);
    [base, conf] = [`${directory}/run`, `${directory}/krb5.conf`];
    writeFileSync(conf, `[ccapi]\n directory = ${base}\n`);
    ({ launcher, port, stderr } = await startLauncher([], { env: { KRB5_CONFIG: conf } }));
  });

  /** Has the launcher go by other settings. */
  async function configure(...settings: string[]): Promise<void> {
    writeFileSync(conf, ['[ccapi]', ...settings, ''].join('\n '));
    launcher.kill('SIGHUP');
    await eventually(() => stderr().includes('settings reloaded'));
  }

  const waiting = () => processesOf('ccapi-server.js', base).filter(isWaiting);
  const ask = async ({ uid }: { uid: number }) => {
    expect(await sendBytes({ host: '127.0.0.1', port }, `CCAPI/1 uid=${uid}\n`)).toContain('ok path=');
  };

  /** The one that waits. It is started behind an answer, before the next one. */
  async function findSpare(): Promise<number> {
    const [spare, ...others] = (await eventually(() => waiting().length > 0 && waiting())) as number[];
    expect(others).toEqual([]);
    return spare as number;
  }

  it('waits after users have come, one for however many, and becomes the next user’s', async () => {
    await Promise.all([ask(alice), ask(bob)]);
    await ask(alice);
    const spare = await findSpare();
    await ask({ uid: 0 });
    expect(workersBelow(base)).toContain(spare);
    expect(await findSpare()).not.toBe(spare);
  });

  it('that has ended is not taken for one that waits', async () => {
    await ask(alice);
    const spare = await findSpare();
    process.kill(spare, 'SIGKILL');
    // The launcher has been told.
    await eventually(() => !existsSync(`/proc/${spare}`));
    await ask(bob);
    expect(workersBelow(base)).toHaveLength(2);
  });

  it('goes where sessions come to have workers of their own, and none is started for those', async () => {
    await ask(alice);
    const spare = await findSpare();
    await configure(`directory = ${base}`, 'scope = session');
    await eventually(() => hasEnded(spare));
    for (const user of [alice, bob]) await ask(user);
    expect(waiting()).toEqual([]);
  });

  it('goes where the users’ directories come to be in another place', async () => {
    await ask(alice);
    const spare = await findSpare();
    await configure(`directory = ${base}/other`);
    await eventually(() => hasEnded(spare));
    await ask(bob);
    expect(workersBelow(`${base}/other`)).toHaveLength(1);
  });

  it('stays where settings change that a worker reads by itself', async () => {
    await ask(alice);
    const spare = await findSpare();
    await configure(`directory = ${base}`, 'idle_timeout = 700');
    await ask(bob);
    expect(workersBelow(base)).toContain(spare);
  });
});
