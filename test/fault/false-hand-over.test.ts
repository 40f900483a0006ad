// A user who stops their worker, which then takes connections and never acknowledges one.
import { readdirSync, readFileSync } from 'node:fs';
import { beforeAll, expect, inject, it } from 'vitest';
import {
  afterwards,
  eventually,
  memory,
  processesOf,
  start,
  temporaryDirectory,
  workersBelow,
} from '../setup/cleanup.ts';
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

  /** Asks at the door, again where the queue is full, as a blocking connect(2) would wait. */
  const knock = ({ uid, gid }: TestUser) => {
    const script = `setTimeout(() => process.exit(1), 10_000);
      const knock = () => require('node:net').connect('${door}')
        .on('data', () => process.exit(0)).on('end', () => process.exit(1)).on('error', () => setTimeout(knock, 5))
        .write(Buffer.from('${NOOP}', 'hex'));
      knock();`;
    return run(process.execPath, ['-e', script], { uid, gid });
  };

  it('costs its owner alone, holds no descriptor for long, and fills no log', async () => {
    const { uid, gid } = alice;
    const [worker] = workersBelow(base).filter((pid) => ownerOf(pid) === uid) as [number];
    expect((await run('/bin/kill', ['-STOP', String(worker)], { uid, gid })).code).toBe(0);
    afterwards(() => void process.kill(worker, 'SIGCONT'));
    const [launcher] = processesOf('ccapi-launcher.js', base) as [number];
    const descriptors = () => readdirSync(`/proc/${launcher}/fd`).length;
    const before = descriptors();
    const hold = `const hold = () => {
        const socket = require('node:net').connect('${door}', () => socket.write(Buffer.from('${NOOP}', 'hex')));
        socket.on('error', () => setTimeout(hold, 20));
      };
      for (let i = 0; i < 150; i++) hold();`;
    start(process.execPath, ['-e', hold], { uid, gid, stdio: 'ignore' });
    await eventually(() => descriptors() > before + 100);
    for (let i = 0; i < 5; i++) expect((await knock(bob)).code).toBe(0);
    await eventually(() => descriptors() <= before + 4);
    expect(
      stderr()
        .split('\n')
        .filter((line) => line.includes(`uid ${uid}`)).length,
    ).toBeLessThanOrEqual(10);
  });
});

/** The real uid of a process; its directory is root's where it cannot be looked into. */
function ownerOf(pid: number): number {
  return Number(/^Uid:\t(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1]);
}
