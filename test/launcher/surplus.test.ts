// What a peer sends behind its line is dropped, and does not cost it the answer, as a reset would; only so much of it is.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeAll, expect, it } from 'vitest';
import { ownPeer } from '../../launcher/peer.ts';
import { Refusals } from '../../launcher/refusals.ts';
import { rendezvous } from '../../launcher/rendezvous.ts';
import { dropSurplus } from '../../launcher/surplus.ts';
import { afterwards, temporaryDirectory } from '../setup/cleanup.ts';
import { startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

const MEBIBYTE = 1 << 20;
const piece = Buffer.alloc(MEBIBYTE / 8);
const uid = process.getuid?.() as number;
let base: string;
let port: number;

beforeAll(async () => {
  base = `${temporaryDirectory()}/run`;
  ({ port } = await startLauncher([`--directory=${base}`]));
});

/** A peer to which the answer has come, and that has not read it. */
async function answered(): Promise<Socket> {
  const socket = connect(port, '127.0.0.1').pause();
  // What is written to one that was cut off says so.
  socket.on('error', () => {});
  afterwards(() => void socket.destroy());
  socket.write(`CCAPI/1 uid=${uid}\n`);
  await once(socket, 'readable');
  return socket;
}

/** Rejects with the error of the connection. */
function write(socket: Socket): Promise<void> {
  return new Promise((resolve, reject) => socket.write(piece, (error) => (error ? reject(error) : resolve())));
}

it.each([1, 20])('%i peers that each send 3 MiB before they read read the answer', async (count) => {
  const peers = await Promise.all(Array.from({ length: count }, answered));
  for (let sent = 0; sent < 3 * MEBIBYTE; sent += piece.length) await Promise.all(peers.map(write));
  const answers = await Promise.all(peers.map((peer) => text(peer.end())));
  expect(answers).toEqual(peers.map(() => `CCAPI/1 ok path=${base}/${uid}/S.ccapi\n`));
});

it('a peer that sends without end is cut off', async () => {
  const peer = await answered();
  let sent = 0;
  const send = async () => {
    for (;;) {
      await write(peer);
      sent += piece.length;
    }
  };
  await expect(send()).rejects.toThrow(/EPIPE|ECONNRESET/);
  // The kernel has taken more than the launcher has read: its buffers are of tens of megabytes.
  expect(sent).toBeLessThan(100 * MEBIBYTE);
});

/** The two ends of a connection; nothing is read of the first yet. */
async function pair(): Promise<[Socket, Socket]> {
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true });
  const path = `${temporaryDirectory()}/socket`;
  const accepted = once(server.listen(path), 'connection');
  const peer = connect(path).on('error', () => {});
  const [socket] = await accepted;
  afterwards(() => {
    socket.destroy();
    peer.destroy();
    server.close();
  });
  return [socket, peer];
}

// A read takes 64 KiB at the most, and a socket holds more than one of them.
describeWith(['Linux'], 'what is dropped', () => {
  it('is read of one peer in each turn of the event loop, and to the end', async () => {
    const sent = 96 * 1024;
    const sockets = await Promise.all(
      Array.from({ length: 20 }, async () => {
        const [socket, peer] = await pair();
        await new Promise((resolve) => peer.end(Buffer.alloc(sent), () => resolve(undefined)));
        return socket;
      }),
    );
    const ends = Promise.all(sockets.map((socket) => once(socket, 'end')));
    // The first bytes of each are read as soon as it comes; the others come while the first has its turn.
    const [first, ...others] = sockets as [Socket, ...Socket[]];
    const begun = new Set<Socket>();
    let reads = 0;
    for (const socket of sockets) socket.on('data', () => (begun.has(socket) ? reads++ : begun.add(socket)));
    first.once('data', () => others.forEach(dropSurplus));
    dropSurplus(first);
    let isOver = false;
    ends.finally(() => {
      isOver = true;
    });
    while (!isOver) {
      reads = 0;
      await nextTurn();
      expect(reads).toBeLessThanOrEqual(1);
    }
    expect(sockets.map(({ bytesRead }) => bytesRead)).toEqual(sockets.map(() => sent));
  });

  it('is not read while the answer is not there', async () => {
    const [socket, peer] = await pair();
    const log = { info() {}, warning() {}, error() {}, refusal() {} };
    let answer = (_: string) => {};
    let served = Promise.resolve();
    const asked = new Promise<void>((resolve) => {
      const socketOf = () => {
        resolve();
        return new Promise<string>((found) => {
          answer = found;
        });
      };
      const options = { verifyUid: true, isPerSession: false, isKnown: () => true, report: () => ({}) as never };
      const others = { socketOf, refusals: new Refusals(log), log };
      served = rendezvous({ input: socket, output: socket }, ownPeer(uid), { ...options, ...others });
    });
    peer.end(Buffer.concat([Buffer.from(`${uid}\n`), Buffer.alloc(MEBIBYTE)]));
    await asked;
    for (let turn = 0; turn < 20; turn++) await nextTurn();
    // What has brought the line.
    expect(socket.bytesRead).toBeLessThanOrEqual(64 * 1024);
    answer('/path');
    expect(await text(peer)).toBe('/path\n');
    await served;
  });

  it('is 4 MiB of a peer at the most', async () => {
    const [socket, peer] = await pair();
    const send = () => {
      while (peer.write(piece));
    };
    dropSurplus(socket);
    peer.on('drain', send);
    send();
    await once(socket, 'close');
    expect(socket.bytesRead).toBeGreaterThan(4 * MEBIBYTE);
    expect(socket.bytesRead).toBeLessThanOrEqual(4 * MEBIBYTE + 64 * 1024);
  });
});
