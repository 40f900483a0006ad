// All connections of a worker receive into one buffer: none reads what another has sent, whatever waits meanwhile.
import { connect, createServer, type Socket } from 'node:net';
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { receiveBytes } from '../../etc/host/fd-passing.ts';
import { descriptorOf } from '../../etc/host/socket-handle.ts';
import { FrameReader } from '../../proto/framing.ts';
import { Connection } from '../../server/connection.ts';
import { InputBudget } from '../../server/input-budget.ts';
import { InputSocket } from '../../server/input-socket.ts';
import type { Session } from '../../server/protocols/session.ts';
import { afterwards, eventually, temporaryDirectory } from '../setup/cleanup.ts';

/** How a request is answered: at once, once another request releases it, releasing others first, or when time for others is up. */
const kinds = ['atOnce', 'held', 'releasing', 'slow'] as const;
type Kind = (typeof kinds)[number];

interface Asked {
  kind: Kind;
  length: number;
}

interface Client {
  requests: Asked[];
  /** The lengths of the pieces in which it sends, over and over. */
  pieces: number[];
  /** Whether it reads only once it has sent all. */
  readsLate: boolean;
  /** After how many replies it vanishes. */
  leavesAfter: number | undefined;
}

/** Longer than the time for which one connection is answered, in milliseconds. */
const SLOW = 11;

/** What a receive takes, and what a connection may have unread of its replies. */
const [MOST_RECEIVED, MAX_OUTPUT] = [65_536, 65_536];

/** More than all clients together send. */
const MOST_HELD = 2 ** 25;

/** A frame with its length word; each byte tells the connection and the request that it is of. */
function frameOf(client: number, index: number, { kind, length }: Asked): Buffer {
  const frame = Buffer.alloc(4 + length, (client * 61 + index * 7 + 1) & 0xff);
  frame.writeUInt32BE(length, 0);
  frame[4] = kinds.indexOf(kind);
  return frame;
}

const held = new Set<() => void>();
let closed = 0;

/** Answers each request with its own bytes, as they are when it is answered. */
class Echo implements Session {
  answer(frame: Buffer): Buffer | Promise<Buffer> {
    const answer = Buffer.alloc(4 + frame.length);
    answer.writeUInt32BE(frame.length, 0);
    frame.copy(answer, 4);
    const kind = kinds[frame[0] as number];
    if (kind === 'held') return new Promise((resolve) => held.add(() => resolve(answer)));
    if (kind === 'releasing') releaseAll();
    const until = performance.now() + SLOW;
    while (kind === 'slow' && performance.now() < until);
    return answer;
  }

  close(): void {
    closed++;
  }
}

function releaseAll(): void {
  for (const release of [...held]) {
    held.delete(release);
    release();
  }
}

interface Served {
  path: string;
  /** How many connections have been served, and are open. */
  counts: { served: number; open: number };
}

/** Whether what all connections receive into was zeros whenever one had been told of something in it. */
let isClean = true;

async function serve(budget: number): Promise<Served> {
  const counts = { served: 0, open: 0 };
  const all = new InputBudget(budget, { warning() {} });
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: true }, (accepted) => {
    // Of every other one something has been read before, as of those that a launcher gives.
    const read = counts.served++ % 2 === 0 ? receiveBytes(descriptorOf(accepted)) : undefined;
    const socket = InputSocket.ofAccepted(accepted);
    counts.open++;
    const connection = new Connection(socket, new Echo(), { maxFrame: 2 ** 20, maxOutput: MAX_OUTPUT }, all);
    const { deliver } = socket;
    socket.deliver = (bytes) => {
      expect(bytes.length).toBeLessThanOrEqual(MOST_RECEIVED);
      deliver(bytes);
      queueMicrotask(() => {
        isClean &&= new Uint8Array(bytes.buffer).every((byte) => byte === 0);
      });
    };
    socket.once('close', () => counts.open--);
    if (read) connection.receive(read);
    read?.fill(0);
  });
  const path = `${temporaryDirectory()}/socket`;
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => void server.close());
  return { path, counts };
}

/** Sends all requests of a client and resolves with the replies that have come until the end of the connection. */
function talk(path: string, index: number, { requests, pieces, readsLate, leavesAfter }: Client): Promise<Buffer[]> {
  const bytes = Buffer.concat(requests.map((asked, at) => frameOf(index, at, asked)));
  const mayEnd = requests.every(({ kind }) => kind !== 'held');
  const replies: Buffer[] = [];
  const reader = new FrameReader();
  return new Promise((resolve) => {
    const socket = connect({ path, allowHalfOpen: true });
    socket.on('error', () => {});
    socket.once('close', () => resolve(replies));
    socket.on('data', (chunk: Buffer) => {
      replies.push(...reader.push(chunk).map((reply) => Buffer.from(reply)));
      if (leavesAfter !== undefined && replies.length >= leavesAfter) socket.destroy();
      else if (replies.length === requests.length) socket.end();
    });
    socket.once('end', () => socket.end());
    if (readsLate) socket.pause();
    send(socket, bytes, pieces).then(() => {
      if (mayEnd) socket.end();
      socket.resume();
    });
  });
}

async function send(socket: Socket, bytes: Buffer, pieces: number[]): Promise<void> {
  for (let at = 0, turn = 0; at < bytes.length && !socket.destroyed; turn++) {
    const piece = bytes.subarray(at, at + (pieces[turn % pieces.length] as number));
    socket.write(piece);
    at += piece.length;
    await nextTurn();
  }
}

const length = fc.oneof(
  fc.integer({ min: 1, max: 40 }),
  fc.integer({ min: 1, max: 6000 }),
  fc.constantFrom(...[-5, -4, -3, -1, 0, 1].map((more) => MOST_RECEIVED + more), 100_000),
);
const kind = fc.constantFrom<Kind>('atOnce', 'atOnce', 'atOnce', 'held', 'held', 'releasing', 'slow');
const client: fc.Arbitrary<Client> = fc.record({
  requests: fc.array(fc.record({ kind, length }), { minLength: 1, maxLength: 10 }),
  pieces: fc.array(fc.constantFrom(1, 3, 7, 4096, 65_536, 10 ** 7), { minLength: 1, maxLength: 4 }).filter(
    // Byte by byte alone would take the time of the whole run.
    (lengths) => lengths.some((each) => each > 7),
  ),
  readsLate: fc.boolean(),
  leavesAfter: fc.option(fc.nat(5), { nil: undefined, freq: 4 }),
});

/** Has all clients talk at once, and what is held released now and then; resolves with what each was answered. */
async function talkAll({ path }: Served, clients: Client[]): Promise<Buffer[][]> {
  let isOver = false;
  const all = Promise.all(clients.map((each, index) => talk(path, index, each))).finally(() => {
    isOver = true;
  });
  while (!isOver) {
    for (let turn = 0; turn < 3; turn++) await nextTurn();
    releaseAll();
  }
  return all;
}

const expected = ({ requests }: Client, index: number) =>
  requests.map((asked, at) => frameOf(index, at, asked).subarray(4));

/** Whether these are the first replies that a client is to get. */
function areFirst(replies: Buffer[], of: Buffer[]): boolean {
  return replies.length <= of.length && replies.every((reply, at) => reply.equals(of[at] as Buffer));
}

it.each([
  ['', 2 ** 26],
  [', also where those that hold the most are ended', 250_000],
])(
  'each gets the replies to its own requests, however all of them send, wait, read and vanish%s',
  async (_, budget) => {
    const served = await serve(budget);
    closed = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(client, { minLength: 2, maxLength: 5 }), async (clients) => {
        const answers = await talkAll(served, clients);
        for (const [index, each] of clients.entries()) {
          const [replies, all] = [answers[index] as Buffer[], expected(each, index)];
          expect(areFirst(replies, all)).toBe(true);
          const mayBeEnded = each.leavesAfter !== undefined || budget < MOST_HELD;
          if (!mayBeEnded) expect(replies.length).toBe(all.length);
        }
        releaseAll();
        await eventually(() => served.counts.open === 0);
        expect(closed).toBe(served.counts.served);
        expect(isClean).toBe(true);
      }),
      { numRuns: 60 },
    );
  },
  60_000,
);
