// Requests of both protocols, mangled in every way, at a real worker: no crash, no hang, memory flat; and junk at the
// launcher, on its port and at its front door.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, it } from 'vitest';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import ccapiSession from '../proto/vectors/ccapi-session.json' with { type: 'json' };
import kcmVectors from '../proto/vectors/kcm.json' with { type: 'json' };
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { drawnFrom, sized } from './size.ts';

const FRAMES = sized(100_000, 10_000_000);
const JUNK = sized(2000, 20_000);
const A_TURN = 250;

const seed = Date.now() >>> 0;
const below = drawnFrom(seed);

const originals = {
  ccapi: ccapiSession.map(({ request }) => Buffer.from(request, 'hex')),
  kcm: kcmVectors.map(({ request }) => Buffer.from(request, 'hex').subarray(4)),
};

/** One of a few ways to spoil a request; what is left is a frame, since else nothing after it would be looked at. */
function mangled(original: Buffer): Buffer {
  const bytes = Buffer.from(original);
  const at = below(bytes.length);
  const ways = [
    () => bytes,
    () => bytes.subarray(0, at + 1),
    () => Buffer.concat([bytes, bytes.subarray(at)]),
    () => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + 1 + below(8)))]),
    () => {
      for (let i = 0; i <= below(4); i++) bytes[below(bytes.length)] = below(256);
      return bytes;
    },
    () => {
      // A length or a count that is out of all reason.
      if (bytes.length >= 8)
        bytes.writeUInt32BE(
          [0, 1, 0x7fffffff, 0xffffffff, below(2 ** 32)][below(5)] as number,
          below(bytes.length - 4),
        );
      return bytes;
    },
  ];
  const way = ways[below(ways.length)] as () => Buffer;
  const result = way();
  return result.length > 0 ? result : bytes;
}

function turn(): Buffer {
  const from = below(2) === 0 ? originals.ccapi : originals.kcm;
  const frames: Buffer[] = [];
  for (let i = 0; i < A_TURN; i++) {
    const bytes = mangled(from[below(from.length)] as Buffer);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(bytes.length);
    frames.push(length, bytes);
  }
  // Now and then the framing itself is lost at the end.
  if (below(10) === 0) frames.push(Buffer.from('ffffffff', 'hex'));
  return Buffer.concat(frames);
}

/** Sends all of it and then nothing more; resolves when the server has closed. */
function sent(path: string, bytes: Buffer): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.on('error', () => {}).resume();
    socket.once('close', () => resolve());
    socket.end(bytes);
  });
}

const memoryOf = (pid: number | undefined) =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

it(`${FRAMES} mangled frames at a worker`, { timeout: 7_200_000 }, async () => {
  const limits = ['--max-caches=50', '--max-credentials=300', '--max-bytes=2m'];
  const { worker, path } = await startWorker(workerDirectory(memory), ...limits);
  const sync = requestFrame('contextSync', uninitialised, {});
  const readings: number[] = [];
  for (let frames = 0; frames < FRAMES; frames += A_TURN * 4) {
    await Promise.all(Array.from({ length: 4 }, () => sent(path, turn())));
    if ((frames / A_TURN) % 20 === 0) {
      // Somebody else is served as ever.
      expect(await sendBytes({ path }, Buffer.concat([sync, Buffer.alloc(4)])), `seed ${seed}`).toHaveLength(90);
      readings.push(memoryOf(worker.pid));
    }
  }
  expect(worker.exitCode).toBeNull();
  expectFlat(readings);
});

/** What the engine takes while it still sizes its heap, in kB; a long run is beyond that. */
const WARMING_UP = sized(16_384, 0);

/**
 * Whether memory, in kB, stays as it is. What garbage there is at a moment is chance, so that the least of each part is
 * looked at; the first two fifths are the engine's, which compiles what is used and finds out how much room it wants.
 */
function expectFlat(readings: number[]): void {
  const settled = readings.slice(Math.floor(readings.length * 0.4));
  const third = Math.floor(settled.length / 3);
  const [first, last] = [settled.slice(0, third), settled.slice(-third)];
  expect(Math.min(...last), `${readings}`).toBeLessThan(Math.min(...first) * 1.1 + WARMING_UP);
}

it(`${JUNK} connections that bring junk to a launcher`, { timeout: 7_200_000 }, async () => {
  const directory = temporaryDirectory(memory);
  const { launcher, port } = await startLauncher([`${directory}/front`, `--directory=${directory}/run`]);
  const addresses = [{ host: '127.0.0.1', port }, { path: `${directory}/front` }];
  const lines = [
    'CCAPI/1 uid=0\n',
    'CCAPI/1 uid=',
    '4294967295\n',
    '\n',
    'GET / HTTP/1.0\r\n\r\n',
    `${'9'.repeat(600)}\n`,
  ];
  const readings: number[] = [];
  for (let i = 0; i < JUNK; i++) {
    const line = Buffer.from(lines[below(lines.length)] as string);
    for (let j = below(3); j > 0; j--) line[below(line.length)] = 2 + below(254);
    await new Promise<void>((resolve) => {
      const socket = connect(addresses[i % 2] as { path: string });
      socket.on('error', () => {}).resume();
      socket.once('close', () => resolve());
      socket.end(line);
    });
    if (i % 10 === 0) readings.push(memoryOf(launcher.pid));
  }
  expect(launcher.exitCode).toBeNull();
  expectFlat(readings);
  const uid = process.getuid?.();
  for (const address of addresses) {
    expect(await sendBytes(address, `CCAPI/1 uid=${uid}\n`)).toBe(`CCAPI/1 ok path=${directory}/run/${uid}/S.ccapi\n`);
  }
});
