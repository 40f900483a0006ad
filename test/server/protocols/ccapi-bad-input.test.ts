// Input that is wrong in any way, at a real worker: an error each, the connection goes on, memory stays flat.
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { beforeAll, expect, it } from 'vitest';
import { messages } from '../../../proto/ccapi.ts';
import { readRequestHeader, requestFrame } from '../../../proto/ccapi-codec.ts';
import { isInitialised, uninitialised } from '../../../proto/identifier.ts';
import mustFail from '../../proto/vectors/ccapi-must-fail.json' with { type: 'json' };
import session from '../../proto/vectors/ccapi-session.json' with { type: 'json' };
import { eventually } from '../../setup/cleanup.ts';
import { type RunningWorker, startWorker, workerDirectory } from '../../setup/worker.ts';
import { RawConnection } from '../raw-connection.ts';
import { errorOfForeign, openObjects, type RecordedObjects, rebased } from '../recorded-requests.ts';

let running: RunningWorker;
let objects: RecordedObjects;

beforeAll(async () => {
  running = await startWorker(workerDirectory());
  objects = await openObjects(await RawConnection.open(running.path));
});

const asOfHere = (request: string) => rebased(Buffer.from(request, 'hex'), objects);

function framed(payload: Buffer): Buffer {
  const header = Buffer.alloc(4);
  header.writeUInt32BE(payload.length);
  return Buffer.concat([header, payload]);
}

/** Sends frames on one connection, and after them a sync; resolves with the codes once that is answered with success. */
function codesOf(frames: Buffer[]): Promise<number[]> {
  return new Promise((resolve, reject) => {
    let received = Buffer.alloc(0);
    const socket = connect(running.path);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('the connection was closed')));
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const codes: number[] = [];
      for (let at = 0; at + 8 <= received.length; at += 4 + received.readUInt32BE(at))
        codes.push(received.readInt32BE(at + 4));
      if (codes.length <= frames.length) return;
      socket.removeAllListeners('close').destroy();
      resolve(codes);
    });
    socket.write(Buffer.concat([...frames, requestFrame('contextSync', uninitialised, {})]));
  });
}

const memory = () =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${running.worker.pid}/status`, 'utf8'))?.[1]);

it('each request that must fail is refused, and the connection goes on', async () => {
  const codes = await codesOf(mustFail.map(({ request }) => framed(asOfHere(request).payload)));
  expect(codes).toEqual([...mustFail.map(({ error }) => error), 0]);
});

it('each that names an object of another server is refused for that', async () => {
  const foreign = [...mustFail, ...session].filter(({ request }) => {
    return isInitialised(readRequestHeader(Buffer.from(request, 'hex')).object);
  });
  const expected = foreign.map(({ request }) => {
    const { name } = readRequestHeader(Buffer.from(request, 'hex'));
    return name ? errorOfForeign[messages[name].object] : 227;
  });
  const codes = await codesOf(foreign.map(({ request }) => framed(Buffer.from(request, 'hex'))));
  expect(codes).toEqual([...expected, 0]);
});

it('each request of the session, cut at every byte, is refused, and the connection goes on', async () => {
  const cut = session.flatMap(({ request }) => {
    const { payload, argumentsAt } = asOfHere(request);
    return Array.from({ length: payload.length - 1 }, (_, before) => ({
      frame: framed(payload.subarray(0, before + 1)),
      code: before + 1 < argumentsAt ? 227 : 22,
    }));
  });
  const codes = await codesOf(cut.map(({ frame }) => frame));
  expect(codes).toEqual([...cut.map(({ code }) => code), 0]);
});

it('keeps nothing of what it refuses: memory is flat over tens of thousands of bad requests', async () => {
  const bad = mustFail.map(({ request }) => framed(Buffer.from(request, 'hex')));
  const batch = Array.from({ length: 600 }, () => bad).flat();
  for (let warming = 0; warming < 3; warming++) await codesOf(batch);
  const before = memory();
  for (let round = 0; round < 6; round++) await codesOf(batch);
  expect(memory() - before).toBeLessThan(16 * 1024);
});

it.each([
  ['a frame of no bytes', '00000000'],
  ['a frame of neither protocol', '0000000401020304'],
  ['a frame that begins like one for the status', `0000000e${Buffer.from('ccapi status 2').toString('hex')}`],
  ['a frame that begins like one of KCM', '0000000402010000'],
  ['a frame above the limit', '01000001'],
  ['a frame of almost four gigabytes', 'ffffffff'],
])('%s closes its connection and no other, and nothing is set aside for it', async (_, hex) => {
  const before = memory();
  const sockets = Array.from({ length: 50 }, () =>
    connect(running.path, function (this: import('node:net').Socket) {
      this.resume().write(Buffer.from(hex, 'hex'));
    }),
  );
  await eventually(() => sockets.every(({ closed }) => closed));
  expect(await codesOf([])).toEqual([0]);
  expect(memory() - before).toBeLessThan(16 * 1024);
});
