// KCM input that is wrong in any way, at a real worker's socket: the protocol's error, no crash, and nothing lost.
import { readFileSync } from 'node:fs';
import { connect, type Socket } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorCodes } from '../../../proto/errors.ts';
import { operations, VERSION } from '../../../proto/kcm.ts';
import { parsePrincipal, writePrincipal } from '../../../proto/principal.ts';
import { Writer } from '../../../proto/writer.ts';
import vectors from '../../proto/vectors/kcm.json' with { type: 'json' };
import { eventually } from '../../setup/cleanup.ts';
import { type RunningWorker, startWorker, workerDirectory } from '../../setup/worker.ts';

let running: RunningWorker;
let bystander: Conversation;

/** One connection, on which requests are sent and the inner statuses of their replies come back. */
class Conversation {
  readonly socket: Socket;
  #received = Buffer.alloc(0);
  #waiting: ((code: number | 'closed') => void)[] = [];

  constructor() {
    this.socket = connect(running.path);
    this.socket.on('error', () => {});
    this.socket.on('close', () => {
      for (const resolve of this.#waiting.splice(0)) resolve('closed');
    });
    this.socket.on('data', (chunk) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      while (this.#received.length >= 12 && this.#received.length >= 8 + this.#received.readUInt32BE(0)) {
        expect(this.#received.readUInt32BE(4)).toBe(0);
        this.#waiting.shift()?.(this.#received.readInt32BE(8));
        this.#received = this.#received.subarray(8 + this.#received.readUInt32BE(0));
      }
    });
  }

  /** The reply's code, or that the connection was closed. */
  sent(frame: Buffer): Promise<number | 'closed'> {
    this.socket.write(frame);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  end(): void {
    this.socket.destroy();
  }
}

/** A request as it travels; `args` may be anything. */
function request(opcode: number, args: Buffer = Buffer.alloc(0), version = VERSION): Buffer {
  return new Writer(args.length + 8)
    .u32(args.length + 4)
    .u16(version)
    .u16(opcode)
    .bytes(args)
    .finish();
}

const name = (text: string) => Buffer.from(`${text}\0`);
const principal = (text: string) => {
  const writer = new Writer();
  writePrincipal(writer, parsePrincipal(text));
  return writer.finish();
};
const getPrincipal = request(operations.getPrincipal.number, name('kept'));

beforeAll(async () => {
  running = await startWorker(workerDirectory());
  bystander = new Conversation();
  const initialise = Buffer.concat([name('kept'), principal('alice@R')]);
  expect(await bystander.sent(request(operations.initialize.number, initialise))).toBe(0);
});

afterAll(async () => {
  // Whatever was sent meanwhile: it still runs, the connection stands, and what was stored is there.
  expect(await bystander.sent(getPrincipal)).toBe(0);
  bystander.end();
});

async function codeOf(frame: Buffer): Promise<number | 'closed'> {
  const conversation = new Conversation();
  const code = await conversation.sent(frame);
  if (code !== 'closed') expect(await conversation.sent(getPrincipal)).toBe(0);
  conversation.end();
  return code;
}

const { KRB5_CC_FORMAT, KRB5_FCC_INTERNAL, KRB5_FCC_NOFILE } = errorCodes;

it('an unknown opcode is answered, and the connection goes on', async () => {
  const known = new Set<number>(Object.values(operations).map(({ number }) => number));
  const conversation = new Conversation();
  for (let opcode = 0; opcode < 65536; opcode += opcode < 64 || (opcode > 12990 && opcode < 13010) ? 1 : 97) {
    if (known.has(opcode)) continue;
    expect(await conversation.sent(request(opcode, name('kept')))).toBe(KRB5_FCC_INTERNAL.code);
  }
  conversation.end();
});

describe('what is closed, since the start of the next request is not known', () => {
  it.each([
    ['another version', request(operations.noop.number, Buffer.alloc(0), 0x0300)],
    ['a frame without room for an opcode', Buffer.from('0000000202 00'.replace(' ', ''), 'hex')],
    ['a frame of 2 GiB', Buffer.from('7fffffff02000000', 'hex')],
    ['a frame of 4 GiB', Buffer.from('ffffffff02000000', 'hex')],
  ])('%s', async (_, frame) => expect(await codeOf(frame)).toBe('closed'));

  it('another version behind requests that were right: those are answered', async () => {
    const conversation = new Conversation();
    const [first, second] = [conversation.sent(getPrincipal), conversation.sent(request(0, Buffer.alloc(0), 0x0100))];
    expect([await first, await second]).toEqual([0, 'closed']);
  });
});

describe('what is answered that its arguments are malformed', () => {
  const long = new Writer().u32(0xffffffff).finish();
  const replace = (...behind: Buffer[]) =>
    request(operations.replace.number, Buffer.concat([name('new'), Buffer.alloc(4), ...behind]));
  it.each([
    ['a name without NUL', request(operations.getPrincipal.number, Buffer.from('kept'))],
    ['no name', request(operations.destroy.number)],
    ['a principal that is missing', request(operations.initialize.number, name('kept'))],
    ['4 thousand million components', request(operations.initialize.number, Buffer.concat([name('kept'), long, long]))],
    ['a realm of 4 GiB', request(operations.initialize.number, Buffer.concat([name('kept'), Buffer.alloc(8), long]))],
    ['4 thousand million credentials', replace(principal('bob@R'), long)],
    ['a credential that is cut', replace(principal('bob@R'), Buffer.from('00000001000000080000000100000001', 'hex'))],
    ['a store of half a credential', request(operations.store.number, Buffer.concat([name('kept'), principal('a@R')]))],
    ['a UUID of 15 bytes', request(operations.getCacheByUUID.number, Buffer.alloc(15))],
    ['an offset of 3 bytes', request(operations.setKDCOffset.number, Buffer.concat([name('kept'), Buffer.alloc(3)]))],
    ['a matching credential of nothing', request(operations.retrieve.number, Buffer.concat([name('kept'), long]))],
  ])('%s', async (_, frame) => expect(await codeOf(frame)).toBe(KRB5_CC_FORMAT.code));

  it('and nothing of it was done', async () => {
    expect(await codeOf(request(operations.getPrincipal.number, name('new')))).toBe(KRB5_FCC_NOFILE.code);
  });
});

it('each request of the vectors, cut at every byte behind its opcode, is answered', async () => {
  const conversation = new Conversation();
  for (const { request: whole } of vectors) {
    const args = Buffer.from(whole, 'hex').subarray(8);
    const opcode = Buffer.from(whole, 'hex').readUInt16BE(6);
    for (let length = 0; length < args.length; length++)
      expect(await conversation.sent(request(opcode, args.subarray(0, length)))).not.toBe('closed');
  }
  conversation.end();
});

it('a peer that vanishes in the middle of a frame costs no other client anything, and memory is given back', async () => {
  const resident = () =>
    Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${running.worker.pid}/status`, 'utf8'))?.[1]);
  const half = Buffer.concat([Buffer.from('00f00000', 'hex'), getPrincipal.subarray(4), Buffer.alloc(1 << 20)]);
  const vanish = async () => {
    const peer = connect(running.path);
    await new Promise((resolve) => peer.write(half, resolve));
    const closed = new Promise((resolve) => peer.once('close', resolve));
    peer.destroy();
    await closed;
  };
  for (let i = 0; i < 30; i++) await vanish();
  const before = resident();
  for (let i = 0; i < 200; i++) await vanish();
  expect(await codeOf(getPrincipal)).toBe(0);
  // What the engine has not collected yet goes once the worker rests.
  await eventually(() => resident() - before < 60_000);
});
