// A peer of another host: here a network namespace with an address of its own.
import { execFileSync } from 'node:child_process';
import { beforeAll, describe, expect, it } from 'vitest';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';
import { startInetd } from '../setup/inetd.ts';
import { freePort, run, sendBytes } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';
import { type SystemLog, startSystemLog } from '../setup/system-log.ts';

const namespace = 'ccapi-test';
const here = '10.231.77.1';
const there = '10.231.77.2';

describeWith(
  ['root', 'Linux', 'iproute2', 'openbsd-inetd', 'socat', 'netcat-openbsd'],
  'a peer of another host',
  () => {
    const ip = (...args: string[]) => execFileSync('/bin/ip', args);

    beforeAll(() => {
      ip('netns', 'add', namespace);
      afterwards(() => void ip('netns', 'del', namespace));
      ip('link', 'add', 'ccapi0', 'type', 'veth', 'peer', 'name', 'ccapi1', 'netns', namespace);
      ip('addr', 'add', `${here}/24`, 'dev', 'ccapi0');
      ip('link', 'set', 'ccapi0', 'up');
      ip('-n', namespace, 'addr', 'add', `${there}/24`, 'dev', 'ccapi1');
      ip('-n', namespace, 'link', 'set', 'ccapi1', 'up');
    });

    describe.each([{ wait: true }, { wait: false }])('under inetd on every address, wait = $wait', ({ wait }) => {
      let base: string;
      let port: number;
      let systemLog: SystemLog;

      beforeAll(async () => {
        const directory = temporaryDirectory();
        [base, port, systemLog] = [`${directory}/run`, await freePort(), await startSystemLog()];
        const { wrapper } = systemLog;
        await startInetd(directory, [{ address: '0.0.0.0', port, wait }], [`--directory=${base}`], { wrapper });
      });

      it('is connected, gets not one byte, and is logged', async () => {
        const args = ['netns', 'exec', namespace, '/bin/nc.openbsd', '-v', here, String(port)];
        const { stdout, stderr } = await run('/bin/ip', args, { input: 'CCAPI/1 uid=0\n' });
        expect(stderr).toContain('succeeded');
        expect(stdout).toBe('');
        await eventually(() => systemLog.text().includes(`: ${there}: dropped: not an address of this host`));
      });

      it('gets none even where the address is this host talking to itself', async () => {
        // The connection may be reset instead of closed, for its line was not read.
        const answer = await sendBytes({ host: here, port }, 'CCAPI/1 uid=0\n').catch((error) => error.code);
        expect(['', 'ECONNRESET']).toContain(answer);
      });

      it('is another matter than a peer on loopback', async () => {
        expect(await sendBytes({ host: '127.0.0.1', port }, '0\n')).toBe(`${base}/0/S.ccapi\n`);
      });
    });
  },
);
