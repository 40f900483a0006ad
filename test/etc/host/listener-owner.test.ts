import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { endianness } from 'node:os';
import { describe, expect, it } from 'vitest';
import { listenerUids } from '../../../etc/host/listener-owner.ts';
import { afterwards } from '../../setup/cleanup.ts';
import { freePort } from '../../setup/programs.ts';
import { describeWith } from '../../setup/requirements.ts';

const line = (local: string, state: string, uid: number) =>
  `   0: ${local} 00000000:0000 ${state} 00000000:00000000 00:00000000 00000000  ${uid}        0 1234 1 0 100 0 0 10 0`;
const tables =
  (tcp: string[], tcp6: string[] = []) =>
  (name: 'tcp' | 'tcp6') =>
    ['  sl  local_address …', ...(name === 'tcp' ? tcp : tcp6), ''].join('\n');

const any6 = '0'.repeat(32);

describe.runIf(endianness() === 'LE')('the owner of a listening port', () => {
  it.each([
    ['on the address itself', '127.0.0.1', [line('0100007F:1E6D', '0A', 7)], [], [7]],
    ['on every address', '127.0.0.1', [line('00000000:1E6D', '0A', 7)], [], [7]],
    ['on every address of both families', '127.0.0.1', [], [line(`${any6}:1E6D`, '0A', 7)], [7]],
    ['on the mapped address', '127.0.0.1', [], [line('0000000000000000FFFF00000100007F:1E6D', '0A', 7)], [7]],
    [
      'the exact address before all',
      '127.0.0.1',
      [line('0100007F:1E6D', '0A', 7), line('00000000:1E6D', '0A', 8)],
      [],
      [7],
    ],
    ['IPv4 before IPv6', '127.0.0.1', [line('00000000:1E6D', '0A', 7)], [line(`${any6}:1E6D`, '0A', 8)], [7]],
    ['IPv6', '::1', [], [line('00000000000000000000000001000000:1E6D', '0A', 7)], [7]],
    ['several of one port', '127.0.0.1', [line('0100007F:1E6D', '0A', 7), line('0100007F:1E6D', '0A', 8)], [], [7, 8]],
    ['not one that is connected', '127.0.0.1', [line('0100007F:1E6D', '01', 7)], [], []],
    ['not one of another port', '127.0.0.1', [line('0100007F:1E6E', '0A', 7)], [], []],
    ['not one of another address', '127.0.0.1', [line('0200007F:1E6D', '0A', 7)], [], []],
    ['not one of the other family', '::1', [line('0100007F:1E6D', '0A', 7)], [], []],
  ] as const)('is found: %s', (_, address, tcp, tcp6, uids) => {
    expect(listenerUids(address, 7789, tables([...tcp], [...tcp6]))).toEqual(uids);
  });

  it('is not known where the kernel has no table', () => {
    expect(listenerUids('127.0.0.1', 7789, () => undefined)).toBeUndefined();
  });
});

describeWith(['Linux'], 'the owner of a port on this machine', () => {
  it.each(['127.0.0.1', '::'])('is the uid of the program that listens on %s', async (host) => {
    const port = await freePort();
    const server = createServer();
    await new Promise<void>((resolve) => server.listen({ port, host }, resolve));
    afterwards(() => void server.close());
    expect(listenerUids('127.0.0.1', port)).toEqual([process.getuid?.()]);
    expect(listenerUids('127.0.0.1', await freePort())).toEqual([]);
  });

  it.each(['127.0.0.1', '::'])('is found among many that listen on %s, one with connections', async (host) => {
    const servers = Array.from({ length: 60 }, () => createServer());
    const ports: number[] = [];
    for (const server of servers) {
      const port = await freePort();
      await new Promise<void>((resolve) => server.listen({ port, host }, resolve));
      afterwards(() => void server.close());
      ports.push(port);
    }
    for (let i = 0; i < 20; i++) {
      const client = connect({ port: ports[0] as number, host: '127.0.0.1' });
      afterwards(() => void client.destroy());
      await once(client, 'connect');
    }
    for (const port of ports) expect(listenerUids('127.0.0.1', port), `port ${port}`).toEqual([process.getuid?.()]);
  });
});
