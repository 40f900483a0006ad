// A change may be what requests on several connections wait for: proto/CCAPI.md has it that all of them get their replies before
// a further request is looked at.
import { once } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { beforeEach, expect, it } from 'vitest';
import { socketPair } from '../../etc/host/fd-passing.ts';
import { Connection } from '../../server/connection.ts';
import { InputBudget } from '../../server/input-budget.ts';
import { InputSocket } from '../../server/input-socket.ts';
import type { Session } from '../../server/protocols/session.ts';
import { afterwards } from '../setup/cleanup.ts';

/** What is asked and what is sent, in its order. */
let happened: string[];
let release: (() => void)[];

beforeEach(() => {
  happened = [];
  release = [];
});

/** Some requests, each a word. */
function frames(...words: string[]): Buffer {
  return Buffer.concat(words.flatMap((word) => [Buffer.from([0, 0, 0, word.length]), Buffer.from(word)]));
}

/** A connection of a client with a name. */
function open(name: string): { receive(frames: Buffer): void; closed: Promise<unknown> } {
  const [near, far] = (socketPair() as [number, number]).map(InputSocket.ofDescriptor) as [InputSocket, InputSocket];
  for (const end of [near, far]) afterwards(() => void end.destroy());
  const write = near.write.bind(near) as (reply: Buffer, done: () => void) => boolean;
  near.write = ((reply: Buffer, done: () => void) => {
    happened.push(`${name} gets ${reply}`);
    return write(reply, done);
  }) as typeof near.write;
  const session: Session = {
    answer(frame) {
      const asked = frame.toString();
      const reply = Buffer.from(`the reply to ${asked}`);
      happened.push(`${name} asks to ${asked}`);
      if (asked === 'fail') return Promise.reject(new Error('no reply'));
      if (asked === 'wait') return new Promise((resolve) => release.push(() => resolve(reply)));
      if (asked === 'change') for (const resolve of release) resolve();
      if (asked === 'end') connection.finish();
      return reply;
    },
    close() {},
  };
  const limits = { maxFrame: 2 ** 20, maxOutput: 2 ** 20 };
  const connection: Connection = new Connection(near, session, limits, new InputBudget(2 ** 26, { warning() {} }));
  return { receive: (bytes) => connection.receive(bytes), closed: once(near, 'close') };
}

it('all that wait for a change are told of it before any has its next request answered', async () => {
  const [a, b, c] = [open('A'), open('B'), open('C')];
  for (const waiting of [b, c]) waiting.receive(frames('wait', 'go on'));
  a.receive(frames('change'));
  await nextTurn();
  expect(happened).toEqual([
    ...['B asks to wait', 'C asks to wait', 'A asks to change', 'A gets the reply to change'],
    ...['B gets the reply to wait', 'C gets the reply to wait'],
    ...['B asks to go on', 'B gets the reply to go on', 'C asks to go on', 'C gets the reply to go on'],
  ]);
});

it('what ends its own connection is answered once, and what came before the end after it', async () => {
  open('A').receive(frames('end', 'go on'));
  await nextTurn();
  expect(happened).toEqual([
    ...['A asks to end', 'A gets the reply to end', 'A asks to go on', 'A gets the reply to go on'],
  ]);
});

it('a reply that fails ends its connection, and nothing else', async () => {
  const [a, b] = [open('A'), open('B')];
  a.receive(frames('fail', 'go on'));
  await a.closed;
  b.receive(frames('go on'));
  expect(happened).toEqual(['A asks to fail', 'B asks to go on', 'B gets the reply to go on']);
});
