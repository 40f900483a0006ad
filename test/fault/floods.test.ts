// A user who asks without end, or sends without end: another user is answered within a second.
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { beforeAll, beforeEach, expect, inject, it } from 'vitest';
import { end, memory, start, temporaryDirectory } from '../setup/cleanup.ts';
import { run, sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { Victim } from './latency.ts';

/** A KCM request that does nothing: its length, version 2.0, operation 0. */
const NOOP = '\0\0\0\x04\x02\0\0\0';

describeWith(['root', 'Linux', 'netcat-openbsd'], 'a launcher that one user floods', () => {
  const [alice, bob] = inject('users') as [TestUser, TestUser];
  let port: number;
  let door: string;
  let attacked: number;
  let victim: Victim;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    door = `${directory}/door`;
    const { launcher, ...listening } = await startLauncher([door, `--directory=${directory}/run`]);
    port = listening.port;
    attacked = launcher.pid as number;
    for (const { uid } of [alice, bob]) {
      expect(await sendBytes({ host: '127.0.0.1', port }, `${uid}\n`)).toContain('S.ccapi');
    }
  });

  beforeEach(async () => {
    victim = new Victim(attacked);
    await ask();
    victim.begin();
  });

  /** Runs a program of the attacker's once it has begun. */
  const flood = async (script: string) => {
    const { uid, gid } = alice;
    const attacker = start(process.execPath, ['-e', script], { uid, gid, stdio: ['ignore', 'pipe', 'ignore'] });
    await once(attacker.stdout as Readable, 'data');
    return attacker;
  };

  /** Times ten requests at the door and ten at the port, each by a program that blocks. */
  const ask = async () => {
    const { uid, gid } = bob;
    for (let i = 0; i < 10; i++) {
      await victim.time(async () => {
        const atDoor = await run('/bin/nc.openbsd', ['-N', '-U', door], { uid, gid, input: NOOP });
        expect(atDoor.stdout.length).toBeGreaterThan(0);
      });
      await victim.time(async () => {
        const atPort = await run('/bin/nc.openbsd', ['127.0.0.1', String(port)], { uid, gid, input: `${uid}\n` });
        expect(atPort.stdout).toContain('S.ccapi');
      });
    }
  };

  it('with requests at the door, 1,000 at once', { timeout: 120_000 }, async () => {
    const attacker = await flood(`
      let answered = 0;
      const ask = () => require('node:net').connect('${door}', function () { this.write('${alice.uid}\\n'); })
        .on('data', () => { if (++answered === 1000) process.stdout.write('begun'); }).on('error', () => {})
        .on('close', () => setImmediate(ask));
      for (let i = 0; i < 1000; i++) ask();`);
    await ask();
    await end(attacker, 'SIGKILL');
    victim.expectServed();
  });

  it('with bytes behind a line, on 190 connections', { timeout: 120_000 }, async () => {
    const attacker = await flood(`
      const block = Buffer.alloc(262144);
      let open = 0;
      const send = () => {
        const socket = require('node:net').connect(${port}, '127.0.0.1', () => {
          if (++open === 190) process.stdout.write('begun');
          socket.write('${alice.uid}\\n');
          const more = () => { while (!socket.destroyed && socket.write(block)); };
          socket.on('drain', more);
          more();
        });
        socket.on('error', () => {}).on('close', () => setTimeout(send, 10)).resume();
      };
      for (let i = 0; i < 190; i++) send();`);
    await ask();
    await end(attacker, 'SIGKILL');
    victim.expectServed();
  });
});
