// A user who listens in the worker's place, and takes connections without ever acknowledging one.
import { existsSync, readdirSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import { eventually, memory, processesOf, start, temporaryDirectory } from '../setup/cleanup.ts';
import { run, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';

const NOOP = '0000000402000000';

describeWith(['root', 'Linux'], 'a worker that acknowledges nothing', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let door: string;
  let base: string;
  let stderr: () => string;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    [door, base] = [`${directory}/door`, `${directory}/run`];
    const launcher = await startLauncher([door, `--directory=${base}`]);
    stderr = launcher.stderr;
    for (const { uid } of [alice, bob]) {
      expect(await sendBytes({ host: '127.0.0.1', port: launcher.port }, `${uid}\n`)).toContain('S.ccapi');
    }
  });

  const knock = ({ uid, gid }: TestUser) =>
    run(
      process.execPath,
      [
        '-e',
        `require('node:net').connect('${door}').on('data', () => process.exit(0)).on('close', () => process.exit(1)).on('error', () => {}).write(Buffer.from('${NOOP}', 'hex'))`,
      ],
      { uid, gid },
    );

  it('costs its owner alone, holds no descriptor for long, and fills no log', async () => {
    const { uid, gid } = alice;
    const own = `${base}/${uid}`;
    expect((await run('/bin/rm', [`${own}/H.ccapi`], { uid, gid })).code).toBe(0);
    const mute = `require('node:net').createServer({ allowHalfOpen: true }, (socket) => socket.on('error', () => {})).listen('${own}/H.ccapi')`;
    start(process.execPath, ['-e', mute], { uid, gid, stdio: 'ignore' });
    await eventually(() => existsSync(`${own}/H.ccapi`));
    const [launcher] = processesOf('ccapi-launcher.js', base) as [number];
    const descriptors = () => readdirSync(`/proc/${launcher}/fd`).length;
    const before = descriptors();
    const hold = `for (let i = 0; i < 150; i++) { const s = require('node:net').connect('${door}', () => s.write(Buffer.from('${NOOP}', 'hex'))); s.on('error', () => {}); }
      setInterval(() => {}, 1e6);`;
    start(process.execPath, ['-e', hold], { uid, gid, stdio: 'ignore' });
    await eventually(() => descriptors() > before + 200);
    for (let i = 0; i < 5; i++) expect((await knock(bob)).code).toBe(0);
    await eventually(() => descriptors() <= before + 2);
    expect(
      stderr()
        .split('\n')
        .filter((line) => line.includes(`uid ${uid}`)).length,
    ).toBeLessThanOrEqual(10);
  });
});
