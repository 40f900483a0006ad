// Many at once, many in a row, and many that say nothing: every client is served, and none waits for a crowd of others.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { beforeAll, describe, expect, inject, it } from 'vitest';
import { readReply, requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { afterwards, eventually, memory, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { startInetd } from '../setup/inetd.ts';
import { freePort, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { sized } from './size.ts';

const RENDEZVOUS = sized(300, 10_000);

/** A connection that stays; what it brings is what was said last. */
function opened(address: { path: string } | { host: string; port: number }): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect(address, () => resolve(socket));
    socket.on('error', reject);
    afterwards(() => void socket.destroy());
  });
}

describe('a worker', () => {
  it('serves 1,000 connections, each of them', async () => {
    const { path } = await startWorker(workerDirectory(memory));
    const sockets = await Promise.all(Array.from({ length: 1000 }, () => opened({ path })));
    const answered = sockets.map((socket) => new Promise((resolve) => socket.once('data', resolve)));
    for (const socket of sockets) socket.write(requestFrame('contextSync', uninitialised, {}));
    const replies = (await Promise.all(answered)) as Buffer[];
    const [first] = replies;
    expect(readReply('contextSync', (first as Buffer).subarray(4)).collection.object).toMatch(/^[0-9a-f-]{36}$/);
    for (const reply of replies) expect(reply.equals(first as Buffer)).toBe(true);
  });

  it('closes those beyond max_connections, and serves the others on', async () => {
    const { path } = await startWorker(workerDirectory(memory), '--max-connections=5');
    const sockets = await Promise.all(Array.from({ length: 5 }, () => opened({ path })));
    expect(await sendBytes({ path }, '')).toBe('');
    for (const socket of sockets) {
      const answer = new Promise((resolve) => socket.once('data', resolve));
      socket.write(requestFrame('contextSync', uninitialised, {}));
      await answer;
    }
    sockets[0]?.destroy();
    await eventually(async () => {
      const socket = await opened({ path });
      const answer = new Promise((resolve) => socket.once('data', resolve).once('close', () => resolve(undefined)));
      socket.write(requestFrame('contextSync', uninitialised, {}));
      return answer;
    });
  });
});

describeWith(['root', 'Linux', 'openbsd-inetd', 'netcat-openbsd'], 'a launcher under inetd', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let base: string;
  let port: number;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    base = `${directory}/run`;
    port = await freePort();
    await startInetd(
      directory,
      [{ address: '127.0.0.1', port, wait: true }],
      [`--directory=${base}`, '--max-launcher-connections=1000', '--max-launcher-connections-per-uid=200'],
    );
  });

  const ask = (user: TestUser) =>
    run('/bin/nc.openbsd', ['127.0.0.1', String(port)], { uid: user.uid, gid: user.gid, input: `${user.uid}\n` });
  const path = (user: TestUser) => `${base}/${user.uid}/S.ccapi\n`;

  it(`answers ${RENDEZVOUS} in a row`, { timeout: 600_000 }, async () => {
    for (let i = 0; i < RENDEZVOUS; i++) {
      const answer = await sendBytes({ host: '127.0.0.1', port }, `${alice.uid}\n`);
      if (answer !== path(alice)) expect(answer).toBe(path(alice));
    }
    expect(workersBelow(base)).toHaveLength(1);
  });

  it('answers one user while another comes 500 times at once, most of them without ever saying anything', async () => {
    expect((await ask(bob)).stdout).toBe(path(bob));
    // 200 are as many as one uid may have here, so some of the clients that do ask are turned away, and may come again.
    const come = `for (let i = 0; i < 200; i++) require('node:net').connect(${port}, '127.0.0.1').on('error', () => {});
      process.stdin.resume().on('end', () => process.exit(0));`;
    const { uid, gid } = alice;
    const silent = start(process.execPath, ['-e', come], { uid, gid, stdio: ['pipe', 'ignore', 'ignore'] });
    const crowd = Array.from({ length: 300 }, () => ask(alice));
    for (let i = 0; i < 10; i++) expect((await ask(bob)).stdout).toBe(path(bob));
    expect(silent.exitCode).toBeNull();
    silent.stdin?.end();
    await once(silent, 'exit');
    const answers = (await Promise.all(crowd)).map(({ stdout }) => stdout);
    expect(answers.filter((answer) => answer !== '' && answer !== path(alice))).toEqual([]);
    // The limit is 200 at a time.
    const turnedAway = answers.filter((answer) => answer === '');
    expect(turnedAway.length).toBeLessThanOrEqual(100);
    const again = await Promise.all(turnedAway.map(() => ask(alice)));
    expect(again.map(({ stdout }) => stdout)).toEqual(turnedAway.map(() => path(alice)));
  });
});
