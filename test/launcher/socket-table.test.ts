// Which uid a connection belongs to, by the kernel's word.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { socketOwner } from '../../etc/socket-diag.ts';
import { isLoopback } from '../../launcher/loopback.ts';
import { ownerOfPeer } from '../../launcher/socket-table.ts';
import { eventually, start } from '../setup/cleanup.ts';
import { describeWith } from '../setup/requirements.ts';

let server: Server;
let accepted: Promise<Socket>;

beforeEach(() => {
  server = createServer({ allowHalfOpen: true });
  accepted = new Promise((resolve) => server.once('connection', resolve));
});

afterEach(() => {
  server.close();
});

const listening = (host: string) =>
  new Promise<number>((resolve) => server.listen(0, host, () => resolve((server.address() as AddressInfo).port)));

/** The two ways to ask the kernel; each is held against the same connections. */
const ways = { 'its table': ownerOfPeer, 'a question about one socket': socketOwner };

describe.each(Object.entries(ways))('by %s', (_, ask) => {
  function owner({ remoteAddress, remotePort, localAddress, localPort }: Socket): number | undefined | false {
    return ask(
      { address: remoteAddress as string, port: remotePort as number },
      { address: localAddress as string, port: localPort as number },
    );
  }

  describeWith(['Linux'], 'the owner of the peer of a connection', () => {
    it.each([
      ['127.0.0.1', '127.0.0.1'],
      ['::1', '::1'],
      ['::', '127.0.0.1'],
      ['::', '::1'],
      ['::', '::ffff:127.0.0.1'],
      ['127.0.0.1', '127.0.0.1'],
    ])('listening on %s, connected from %s, is our uid', async (listen, from) => {
      const port = await listening(listen);
      const client = connect({ host: from, port });
      const socket = await accepted;
      expect(isLoopback(socket.remoteAddress)).toBe(true);
      expect(owner(socket)).toBe(process.getuid?.());
      client.destroy();
      socket.destroy();
    });

    it('is known while the peer has only sent all that it will', async () => {
      const port = await listening('127.0.0.1');
      const client = connect({ host: '127.0.0.1', port, allowHalfOpen: true });
      const socket = await accepted;
      const ended = once(socket.resume(), 'end');
      client.end();
      await ended;
      expect(owner(socket)).toBe(process.getuid?.());
      client.destroy();
      socket.destroy();
    });

    it('is unknown, and not root, once the peer has closed', async () => {
      const port = await listening('127.0.0.1');
      const client = connect({ host: '127.0.0.1', port });
      const socket = await accepted;
      client.destroy();
      await eventually(() => owner(socket) === undefined);
      socket.destroy();
    });

    it('is unknown for a connection that there is not', () => {
      expect(ask({ address: '127.0.0.1', port: 1 }, { address: '127.0.0.1', port: 2 })).toBeUndefined();
    });

    it('is not that of a socket that only listens on the port of the peer', async () => {
      const port = await listening('127.0.0.1');
      expect(ask({ address: '127.0.0.1', port }, { address: '127.0.0.1', port: 2 })).toBeUndefined();
    });
  });

  describeWith(['root', 'Linux', 'netcat-openbsd'], 'the owner of a connection of another user', () => {
    it('is that user', async () => {
      const [user] = inject('users');
      const port = await listening('127.0.0.1');
      start('/bin/nc.openbsd', ['127.0.0.1', String(port)], {
        uid: user?.uid as number,
        stdio: ['pipe', 'ignore', 'ignore'],
      });
      const socket = await accepted;
      expect(owner(socket)).toBe(user?.uid);
      socket.destroy();
    });
  });
});

it.each([
  ['127.0.0.1', true],
  ['127.255.0.3', true],
  ['::1', true],
  ['::ffff:127.0.0.1', true],
  ['10.0.0.1', false],
  ['128.0.0.1', false],
  ['::ffff:10.0.0.1', false],
  ['::2', false],
  ['fe80::1', false],
  ['127.0.0.1.example.com', false],
  [undefined, false],
])('%s is loopback: %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});
