// One person with many uids, as Debian gives to each account, who holds all connections that a launcher takes.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import type { Readable } from 'node:stream';
import { beforeAll, expect, inject, it } from 'vitest';
import { operations } from '../../proto/kcm.ts';
import { end, memory, start, temporaryDirectory } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import type { TestUser } from '../setup/test-users.ts';
import { Victim } from './latency.ts';

/** As many uids, and connections of each, as fill a launcher twice over. */
const UIDS = 6;
const CONNECTIONS = 400;

/** Connects again wherever a connection is ended, and says when it has the first ones. */
const SILENT = `
const [address, count] = JSON.parse(process.argv[1]);
let open = 0;
const hold = () => {
  const socket = require('node:net').connect(address, () => { if (++open === count / 4) process.stdout.write('holds'); });
  socket.on('error', () => {}).on('close', () => setTimeout(hold, 1000)).resume();
};
for (let i = 0; i < count; i++) hold();`;

describeWith(['root', 'Linux'], 'a launcher that six uids of one person fill', () => {
  const [, bob] = inject('users') as [TestUser, TestUser];
  let port: number;
  let door: string;
  let attacked: number;

  beforeAll(async () => {
    const directory = temporaryDirectory(memory);
    door = `${directory}/door`;
    const limits = ['--max-launcher-connections=1000', '--max-launcher-connections-per-uid=200'];
    const { launcher, ...listening } = await startLauncher([door, `--directory=${directory}/run`, ...limits]);
    port = listening.port;
    attacked = launcher.pid as number;
    // A first start of the worker is no part of what is measured.
    expect(await sendBytes({ host: '127.0.0.1', port }, `${bob.uid}\n`)).toContain('S.ccapi');
  });

  const fill = (address: object): Promise<ChildProcess[]> =>
    Promise.all(
      Array.from({ length: UIDS }, async (_, i) => {
        const uid = 100_000 + i;
        const args = ['-e', SILENT, JSON.stringify([address, CONNECTIONS])];
        const silent = start(process.execPath, args, { uid, gid: uid, stdio: ['ignore', 'pipe', 'ignore'] });
        await once(silent.stdout as Readable, 'data');
        return silent;
      }),
    );

  const asBob = async (script: string) => {
    const { uid, gid } = bob;
    const asked = start(process.execPath, ['-e', script], { uid, gid, stdio: ['ignore', 'pipe', 'ignore'] });
    const [answer] = await once(asked.stdout as Readable, 'data');
    return String(answer);
  };

  it.each(['at the door', 'at the port'])(
    'serves another user within a second: %s',
    { timeout: 120_000 },
    async (where) => {
      const address = where === 'at the door' ? { path: door } : { host: '127.0.0.1', port };
      const request = where === 'at the door' ? noop : Buffer.from(`${bob.uid}\n`);
      const victim = new Victim(attacked);
      const script = `
      ${victim.watch}
      const ask = () => {
        const socket = require('node:net').connect(${JSON.stringify(address)}, () => socket.write(Buffer.from('${request.toString('hex')}', 'hex')));
        socket.on('data', () => { process.stdout.write(String(taken())); process.exit(0); });
        socket.on('end', () => { process.stdout.write('closed'); process.exit(0); });
        // A full queue, for which a blocking connect(2) would wait.
        socket.on('error', () => setTimeout(ask, 5));
      };
      ask();`;
      const askOften = async () => {
        for (let i = 0; i < 20; i++) {
          await victim.time(async () => {
            const answer = await asBob(script);
            expect(answer).not.toBe('closed');
            return Number(answer);
          });
        }
      };
      await askOften();
      victim.begin();
      const silent = await fill(address);
      await askOften();
      await Promise.all(silent.map((one) => end(one, 'SIGKILL')));
      victim.expectServed();
    },
  );
});

/** A KCM request that does nothing: its length, version 2.0, the operation's number. */
const noop = (() => {
  const frame = Buffer.alloc(8);
  frame.writeUInt32BE(4, 0);
  frame[4] = 2;
  frame.writeUInt16BE(operations.noop.number, 6);
  return frame;
})();
