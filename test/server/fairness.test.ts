// Many requests at once on one connection: it is answered for a while, then the others have their turn, and so on.
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { Connection } from '../../server/connection.ts';
import { InputBudget } from '../../server/input-budget.ts';
import { InputSocket } from '../../server/input-socket.ts';
import type { Session } from '../../server/protocols/session.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';

/** More milliseconds than one connection is answered for at a time. */
const TURN = 11;

let path: string;
/** The clients that were answered, in the order of the requests. */
let answered: string[];

/** A frame that names its client, and takes so many milliseconds. */
function frameOf(client: string, takes: number, length = 2): Buffer {
  const frame = Buffer.alloc(4 + length);
  frame.writeUInt32BE(length);
  frame.write(client, 4);
  frame[5] = takes;
  return frame;
}

/** Answers each request, for which the clock goes on by what it takes. */
const session: Session = {
  answer(frame) {
    answered.push(frame.toString('latin1', 0, 1));
    vi.advanceTimersByTime(frame[1] as number);
    return Buffer.alloc(4);
  },
  close() {},
};

beforeEach(async () => {
  vi.useFakeTimers({ toFake: ['hrtime'] });
  answered = [];
  path = `${temporaryDirectory()}/socket`;
  const budget = new InputBudget(2 ** 26, { warning() {} });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    new Connection(InputSocket.ofAccepted(accepted), session, { maxFrame: 2 ** 20, maxOutput: 2 ** 20 }, budget);
  });
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => void server.close());
});
afterEach(() => void vi.useRealTimers());

/** Has clients send what they have to within one turn of the event loop, so that it all is there for the next. */
async function sendAtOnce(...all: Buffer[]): Promise<void> {
  const clients = all.map(() => connect(path).resume());
  for (const client of clients) afterwards(() => void client.destroy());
  await Promise.all(clients.map((client) => once(client, 'connect')));
  // The server has them too: it has answered each.
  for (const client of clients) client.write(frameOf('-', 0));
  await eventually(() => answered.length === clients.length);
  answered = [];
  for (const [index, client] of clients.entries()) client.write(all[index] as Buffer);
}

it('clients that ask at once are answered by turns, each for as long as any other', async () => {
  const clients = ['a', 'b', 'c'];
  const requests = 10 * TURN;
  await sendAtOnce(
    ...clients.map((client) => Buffer.concat(Array.from({ length: requests }, () => frameOf(client, 1)))),
  );
  await eventually(() => answered.length === clients.length * requests);
  const turns = answered
    .join('')
    .match(/(.)\1*/g)
    ?.map((turn) => [turn[0], turn.length]);
  expect(turns).toEqual(Array.from({ length: 10 }, () => clients.map((client) => [client, TURN])).flat());
});

it('a turn is over in time for all that comes of one connection, in whatever pieces that is read', async () => {
  const many = Buffer.concat(Array.from({ length: 6 }, () => frameOf('a', TURN / 2 - 1, 30_000)));
  await sendAtOnce(many, frameOf('b', 1));
  await eventually(() => answered.length === 7);
  expect(answered.join('')).toBe('aaabaaa');
});
