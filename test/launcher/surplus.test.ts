// What a peer sends behind its line is dropped, and does not cost it the answer, as a reset would; only so much of it is.
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { beforeAll, expect, it } from 'vitest';
import { afterwards, temporaryDirectory } from '../setup/cleanup.ts';
import { startLauncher } from '../setup/programs.ts';

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
