// The link between launcher and worker breaks with connections on it: clients at the door see a delay at most.
import type { ChildProcess } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { connect } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { isListening } from '../../etc/host/is-listening.ts';
import { greeting } from '../../proto/link.ts';
import {
  end,
  eventually,
  hasEnded,
  memory,
  processesOf,
  start,
  temporaryDirectory,
  workersBelow,
} from '../setup/cleanup.ts';
import { frontDoorRequirements, startFrontDoor } from '../setup/front-door.ts';
import { run, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import type { TestUser } from '../setup/test-users.ts';
import { sized } from './size.ts';

const NOOP = Buffer.from('0000000402000000', 'hex');
const REPLY = '000000040000000000000000';

const below = drawnFrom(seed);

tellSeed();

/** What a stock program does: connects, which waits while the queue is full, asks, and reads. Resolves to what it read. */
function ask(door: string): Promise<string> {
  return new Promise((resolve) => {
    let received = '';
    const socket = connect(door);
    socket.on('data', (chunk) => {
      received += chunk.toString('hex');
      if (received.length >= REPLY.length) socket.destroy();
    });
    socket.on('end', () => socket.destroy());
    socket.on('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'EAGAIN') setTimeout(() => resolve(ask(door)), 2);
      else resolve(error.code as string);
    });
    socket.on('close', (hadError) => {
      if (!hadError) resolve(received);
    });
    socket.write(NOOP);
  });
}

const asked = (door: string, count: number) => Promise.all(Array.from({ length: count }, () => ask(door)));

/** The same, by a process of a user's. */
const askAs = async ({ uid, gid }: TestUser, door: string) => {
  const script = `const s = require('node:net').connect('${door}', () => s.write(Buffer.from('${NOOP.toString('hex')}', 'hex')));
    s.on('data', (data) => { process.stdout.write(data.toString('hex')); s.destroy(); }).on('end', () => s.destroy());`;
  return (await run(process.execPath, ['-e', script], { uid, gid })).stdout;
};

/** Sends a signal to a worker that may just have ended by itself. */
function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    expect((error as NodeJS.ErrnoException).code).toBe('ESRCH');
  }
}

/** A worker as one without links is: it answers at its socket, and ends connections at the place of links. */
async function startOldWorker(directory: string, { uid, gid }: TestUser): Promise<ChildProcess> {
  const script = `const { createServer } = require('node:net');
    const listen = (name, serve) => {
      require('node:fs').rmSync('${directory}/' + name, { force: true });
      createServer({ allowHalfOpen: true }, serve).listen('${directory}/' + name);
    };
    listen('S.ccapi', (socket) => socket.on('error', () => {}).on('data', () => socket.write(Buffer.from('${REPLY}', 'hex')))
      .on('end', () => socket.end()));
    listen('H.ccapi', (socket) => socket.on('error', () => {}).on('data', () => socket.end()));`;
  const child = start(process.execPath, ['-e', script], { uid, gid, stdio: 'ignore' });
  await eventually(() => isListening(`${directory}/H.ccapi`));
  return child;
}

describe('a link', () => {
  let door: string;
  let base: string;
  let stderr: () => string;
  let launcher: number;
  /** The worker that serves now; the last one may still be on its way out. */
  const settled = () =>
    eventually(async () => {
      const [pid, ...others] = (await ask(door)) === REPLY ? workersBelow(base) : [];
      return others.length === 0 ? pid : undefined;
    });

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    [door, base] = [`${directory}/door`, `${directory}/run`];
    const started = await startLauncher([door, `--directory=${base}`]);
    stderr = started.stderr;
    launcher = started.launcher.pid as number;
    expect(await ask(door)).toBe(REPLY);
  });

  it('carries 1,000 connections that come at once', async () => {
    const all = await asked(door, 1000);
    expect(
      all.filter((a) => a !== REPLY),
      stderr(),
    ).toEqual([]);
  });

  it('stays, with as many descriptors, however many connections come', async () => {
    const open = () => readdirSync(`/proc/${launcher}/fd`).length;
    const before = open();
    for (let i = 0; i < 300; i++) expect(await ask(door)).toBe(REPLY);
    await eventually(() => open() <= before);
  });

  it(`of a worker that is killed ${sized(60, 1000)} times with connections on their way`, {
    timeout: 900_000,
  }, async () => {
    for (let round = 0; round < sized(60, 1000); round++) {
      const pid = await settled();
      signal(pid, 'SIGSTOP');
      const answers = asked(door, 1 + below(5));
      await delay(below(5));
      signal(pid, 'SIGKILL');
      for (const answer of await answers) expect(answer, stderr()).toBe(REPLY);
      expect(await settled()).not.toBe(pid);
    }
  });

  it('of a worker that leaves in order, at any moment', { timeout: 300_000 }, async () => {
    let pid = await settled();
    for (let round = 0; round < sized(30, 300); round++) {
      pid = await settled();
      const answers = asked(door, 3);
      await delay(below(3));
      signal(pid, 'SIGTERM');
      for (const answer of [...(await answers), ...(await asked(door, 3))]) expect(answer, stderr()).toBe(REPLY);
    }
    await eventually(() => hasEnded(pid));
  });

  it('of another version is none, and the connection is closed without a word', async () => {
    const path = `${base}/${process.getuid?.()}/H.ccapi`;
    // The next one is there once it has been asked for.
    await eventually(async () => (await ask(door)) === REPLY && isListening(path));
    expect(await sendBytes({ path }, greeting('lengths', '1').replace('LINK/1', 'LINK/2'))).toBe('');
    expect(await sendBytes({ path }, 'x'.repeat(1000))).toBe('');
    expect(await ask(door)).toBe(REPLY);
    expect(stderr()).not.toContain('error');
  });
});

describeWith(['root', 'Linux'], 'a worker that makes no link', () => {
  const [alice] = inject('users') as [TestUser, TestUser];

  it('is reached all the same, and the log says so', async () => {
    const directory = temporaryDirectory(memory);
    const [door, base] = [`${directory}/door`, `${directory}/run`];
    const { stderr, port } = await startLauncher([door, `--directory=${base}`]);
    expect(await sendBytes({ host: '127.0.0.1', port }, `${alice.uid}\n`)).toContain('S.ccapi');
    const [real] = workersBelow(base) as [number];
    process.kill(real, 'SIGKILL');
    await eventually(() => hasEnded(real));
    const old = await startOldWorker(`${base}/${alice.uid}`, alice);
    for (let time = 0; time < 3; time++) expect(await askAs(alice, door)).toBe(REPLY);
    expect(stderr()).toContain(`uid ${alice.uid}: cannot pass the descriptor, proxying`);
    await end(old, 'SIGKILL');
    expect(await askAs(alice, door)).toBe(REPLY);
    expect(workersBelow(base)).toHaveLength(1);
  });
});

describeWith(frontDoorRequirements, 'a launcher of inetd that is killed', () => {
  it('costs connections on their way, and none after them', { timeout: 120_000 }, async () => {
    const { door, base } = await startFrontDoor([]);
    for (let round = 0; round < sized(10, 100); round++) {
      const answers = asked(door, 4);
      await delay(below(4));
      for (const pid of processesOf('ccapi-launcher.js', base)) process.kill(pid, 'SIGKILL');
      // A reply, or the end of the connection as with any program that inetd has started.
      for (const answer of await answers) expect([REPLY, '', 'ECONNRESET', 'EPIPE']).toContain(answer);
      expect(await ask(door)).toBe(REPLY);
    }
  });
});
