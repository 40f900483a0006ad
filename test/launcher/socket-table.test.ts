// Which uid a connection belongs to, by the kernel's word.
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { afterEach, beforeEach, describe, expect, inject, it } from 'vitest';
import { libc } from '../../etc/host/libc.ts';
import { socketOwner } from '../../etc/host/socket-diag.ts';
import { isLoopback } from '../../launcher/peer.ts';
import { findPeerOwner } from '../../launcher/socket-table.ts';
import { afterwards, eventually, start } from '../setup/cleanup.ts';
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
const ways = { 'its table': findPeerOwner, 'a question about one socket': socketOwner };

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

describeWith(['Linux'], 'the socket over which the kernel is asked', () => {
  /** Our connection of the test, as the kernel is asked for it. */
  async function ends() {
    const port = await listening('127.0.0.1');
    const client = connect({ host: '127.0.0.1', port });
    const socket = await accepted;
    afterwards(() => void client.destroy());
    afterwards(() => void socket.destroy());
    const local = { address: '127.0.0.1', port: socket.remotePort as number };
    expect(socketOwner(local, { address: '127.0.0.1', port })).toBe(process.getuid?.());
    return { local, remote: { address: '127.0.0.1', port } };
  }

  /** Its descriptor and its port id. */
  function netlinkSocket(): { descriptor: number; port: number } {
    // Source: net/netlink/af_netlink.c: sk, Eth (4: NETLINK_SOCK_DIAG), Pid, …, Inode.
    const rows = readFileSync('/proc/self/net/netlink', 'latin1').split('\n');
    const ofDiagnosis = rows.map((row) => row.trim().split(/\s+/)).filter(([, protocol]) => protocol === '4');
    const descriptors = readdirSync('/proc/self/fd').map(Number);
    for (const [, , port, , , , , , , inode] of ofDiagnosis) {
      const descriptor = descriptors.find((fd) => linkOf(fd) === `socket:[${inode}]`);
      if (descriptor !== undefined) return { descriptor, port: Number(port) };
    }
    throw new Error('there is none');
  }

  function linkOf(descriptor: number): string {
    try {
      return readlinkSync(`/proc/self/fd/${descriptor}`);
    } catch {
      return '';
    }
  }

  it('may hold the answer to an earlier question', async () => {
    const { local, remote } = await ends();
    // A request without what it asks for: it is answered with an error.
    const request = Buffer.alloc(16);
    request.writeUInt32LE(request.length, 0);
    request.writeUInt16LE(20, 4);
    request.writeUInt16LE(1, 6);
    const send = libc()?.library.func('long send(int, void *, size_t, int)');
    expect(send?.(netlinkSocket().descriptor, request, request.length, 0)).toBe(request.length);
    expect(socketOwner(local, remote)).toBe(process.getuid?.());
    expect(socketOwner(local, remote)).toBe(process.getuid?.());
  });

  describeWith(['root'], 'with what another process sends there', () => {
    it('is not believed', async () => {
      const { local, remote } = await ends();
      const { port } = netlinkSocket();
      const library = libc()?.library;
      const [family, raw, diagnosis] = [16, 3, 4];
      const other = library?.func('int socket(int, int, int)')(family, raw, diagnosis);
      const sendto = library?.func('long sendto(int, void *, size_t, int, void *, uint32_t)');
      const address = Buffer.alloc(12);
      address.writeUInt16LE(family, 0);
      address.writeUInt32LE(port, 4);
      for (let number = 0; number < 50; number++) {
        const forged = Buffer.alloc(88);
        forged.writeUInt32LE(forged.length, 0);
        forged.writeUInt16LE(20, 4);
        forged.writeUInt32LE(number, 8);
        forged[16 + 1] = 1;
        forged.writeUInt16BE(local.port, 16 + 4);
        forged.writeUInt16BE(remote.port, 16 + 6);
        forged.writeUInt32LE(4711, 16 + 64);
        forged.writeUInt32LE(1, 16 + 68);
        expect(sendto?.(other, forged, forged.length, 0, address, address.length)).toBe(forged.length);
      }
      expect(socketOwner(local, remote)).toBe(process.getuid?.());
      library?.func('int close(int)')(other);
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
