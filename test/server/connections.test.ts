// The connections of a worker: how many there may be, what all of them may hold, and how they end.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { beforeEach, expect, it, vi } from 'vitest';
import { type ConnectionSettings, Connections } from '../../server/connections.ts';
import { InputSocket } from '../../server/input-socket.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';

let path: string;
let connections: Connections;
/** How many of them have told that they are closed. */
let closed: number;
/** What has been read of the next one before. */
let read: Buffer | undefined;
const warning = vi.fn<(line: string) => void>();

const settings = (change: Partial<ConnectionSettings> = {}): ConnectionSettings => ({
  maxConnections: 100,
  maxFrame: 1000,
  maxOutput: 2 ** 20,
  ...change,
});

function frameOf(length: number): Buffer {
  const frame = Buffer.alloc(4 + length, 'x');
  frame.writeUInt32BE(length);
  return frame;
}

/** Answers each request with an empty frame. */
const session = { answer: () => Buffer.alloc(4), close() {} };

beforeEach(async () => {
  warning.mockReset();
  [closed, read] = [0, undefined];
  connections = new Connections(settings(), { info() {}, warning, error() {}, refusal() {} });
  path = `${temporaryDirectory()}/socket`;
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    const socket = InputSocket.ofAccepted(accepted);
    if (connections.hasRoom()) connections.open(socket, session, read, () => closed++);
    else socket.destroy();
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => void server.close());
});

async function open(): Promise<Socket> {
  const client = connect(path).on('error', () => {});
  afterwards(() => void client.destroy());
  await once(client, 'connect');
  return client;
}

/** Whether a connection answers a request, or ends instead. */
function answers(client: Socket, length = 100): Promise<boolean> {
  client.resume().write(frameOf(length));
  return new Promise((resolve) => {
    client.once('data', () => resolve(true)).once('close', () => resolve(false));
  });
}

it('are so many at the most, and the log says so each time that it comes to that', async () => {
  connections.configure(settings({ maxConnections: 2 }));
  const [first, second] = [await open(), await open()];
  expect([await answers(first), await answers(second)]).toEqual([true, true]);
  for (let time = 0; time < 2; time++) expect(await answers(await open())).toBe(false);
  expect(warning.mock.calls).toEqual([['max_connections = 2 is reached; further ones are closed']]);
  first.destroy();
  await eventually(() => connections.size === 1);
  expect(closed).toBe(1);
  expect(await answers(await open())).toBe(true);
  expect(await answers(await open())).toBe(false);
  expect(warning).toHaveBeenCalledTimes(2);
  connections.configure(settings({ maxConnections: 3 }));
  expect(await answers(await open())).toBe(true);
});

it('go by the frames of the settings that they were opened with', async () => {
  const before = await open();
  expect(await answers(before)).toBe(true);
  connections.configure(settings({ maxFrame: 2000 }));
  const after = await open();
  expect([await answers(after, 1500), await answers(before, 1500)]).toEqual([true, false]);
});

it('hold four of the longest frames in all, by the settings in force', async () => {
  // 1000 bytes are kept for it, with its length.
  const half = frameOf(996).subarray(0, 800);
  const last = await open();
  let held = 0;
  for (const maxFrame of [1000, 2000]) {
    connections.configure(settings({ maxFrame }));
    for (; held < (4 * maxFrame) / 1000; held++) (await open()).write(half);
    expect(await answers(last)).toBe(true);
    expect(warning).not.toHaveBeenCalled();
  }
  (await open()).write(half);
  await eventually(() => closed === 1);
  expect(warning.mock.calls).toEqual([[expect.stringContaining('hold more than 8000 bytes')]]);
});

it('answer what was read of one before it was opened', async () => {
  read = frameOf(100);
  const [reply] = await once(await open(), 'data');
  expect(reply).toEqual(Buffer.alloc(4));
});

it('are ended once what the kernel has of them is answered, or at once', async () => {
  const [asks, silent] = [await open(), await open()];
  expect([await answers(asks), await answers(silent)]).toEqual([true, true]);
  const ended = [once(asks, 'close'), once(silent, 'close')];
  const asked = answers(asks);
  connections.finishSoon();
  expect(await asked).toBe(true);
  await Promise.all(ended);
  const late = await open();
  expect(await answers(late)).toBe(true);
  connections.destroyAll();
  await once(late, 'close');
  await eventually(() => closed === 3);
  expect(connections.size).toBe(0);
});
