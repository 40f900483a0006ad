// Requests of both protocols, mangled in every way, at a real worker: no crash, no hang, memory flat; and junk at the
// launcher, on its port and at its front door.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { expect, it } from 'vitest';
import { messages } from '../../proto/ccapi.ts';
import { readArguments, readReply, readRequestHeader, requestFrame } from '../../proto/ccapi-codec.ts';
import { type CCAPIError, errorCodes } from '../../proto/errors.ts';
import { type Layout, readFields } from '../../proto/fields.ts';
import { type Identifier, isInitialised, uninitialised } from '../../proto/identifier.ts';
import { operationNumbered, operations, VERSION } from '../../proto/kcm.ts';
import { Reader } from '../../proto/reader.ts';
import { Writer } from '../../proto/writer.ts';
import ccapiSession from '../proto/vectors/ccapi-session.json' with { type: 'json' };
import kcmVectors from '../proto/vectors/kcm.json' with { type: 'json' };
import { RawConnection } from '../server/raw-connection.ts';
import { errorOfForeign, openObjects, type RecordedObjects, rebased } from '../server/recorded-requests.ts';
import { memory, temporaryDirectory } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';
import { drawnFrom, seed, tellSeed } from '../setup/seed.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';
import { sized } from './size.ts';

tellSeed();

const FRAMES = sized(100_000, 10_000_000);
const JUNK = sized(2000, 20_000);
const A_TURN = 250;

const below = drawnFrom(seed);

const recorded = ccapiSession.map(({ request }) => Buffer.from(request, 'hex'));
const kcm = kcmVectors.map(({ request }) => Buffer.from(request, 'hex').subarray(4));

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

/** The frames of one connection; the CCAPI's are about objects that are there. */
function turn(objects: RecordedObjects): Buffer[] {
  const from = below(2) === 0 ? recorded.map((request) => rebased(request, objects).payload) : kcm;
  return Array.from({ length: A_TURN }, () => mangled(from[below(from.length)] as Buffer));
}

/** Sends all of it and then nothing more; resolves with the replies when the server has closed. */
function sent(path: string, frames: Buffer[]): Promise<Buffer> {
  const bytes = frames.flatMap((frame) => [new Writer(4).u32(frame.length).finish(), frame]);
  // Now and then the framing itself is lost at the end.
  if (below(10) === 0) bytes.push(Buffer.from('ffffffff', 'hex'));
  return new Promise((resolve) => {
    const received: Buffer[] = [];
    const socket = connect(path);
    socket.on('error', () => {}).on('data', (chunk) => received.push(chunk));
    socket.once('close', () => resolve(Buffer.concat(received)));
    socket.end(Buffer.concat(bytes));
  });
}

/** Replies without their length words; those of KCM have a second word before their code. */
function repliesIn(bytes: Buffer, isKCM: boolean): Buffer[] {
  const replies: Buffer[] = [];
  const reader = new Reader(bytes);
  while (reader.remaining > 0) {
    const length = reader.u32();
    if (isKCM) expect(reader.u32()).toBe(0);
    replies.push(reader.view(length));
  }
  return replies;
}

const waiting = ['contextLock', 'ccacheLock', 'contextWaitForChange', 'ccacheWaitForChange'];
/** No limit is reached here, so that one that says so is how a fault of ours is answered. */
const faults = ['ccErrNoMem', 'KRB5_CC_WRITE'];
const refusals = Object.entries(errorCodes).flatMap(([name, { code }]) => (faults.includes(name) ? [] : [code]));

/** What reading fails with; undefined where it does not. */
function failureOf(read: () => unknown): number | undefined {
  try {
    read();
    return undefined;
  } catch (error) {
    return (error as CCAPIError).code;
  }
}

/** Whether each reply is one that its request may have, by the order in which a request is checked (proto/CCAPI.md#requests-and-replies). */
function checkCCAPI(frames: Buffer[], replies: Buffer[], { server }: Identifier): void {
  // One that waits is never answered where nothing follows, and the connection ends with it.
  const mayWait = (frame: Buffer) =>
    failureOf(() => readRequestHeader(frame)) === undefined && waiting.includes(`${readRequestHeader(frame).name}`);
  if (replies.length !== frames.length) expect(frames.slice(replies.length).some(mayWait)).toBe(true);
  for (const [i, reply] of replies.entries()) {
    const frame = frames[i] as Buffer;
    const code = reply.readInt32BE(0);
    const said = `${frame.toString('hex')}: ${code}`;
    const header = failureOf(() => readRequestHeader(frame)) ? undefined : readRequestHeader(frame);
    const name = header?.name;
    // Besides this it is how a fault of ours is answered.
    expect(code === 227, said).toBe(name === undefined);
    if (!header || !name) continue;
    const isForeign = isInitialised(header.object) && header.object.server !== server;
    const malformed = failureOf(() => readArguments(name, header.arguments));
    const unknown = { context: 204, ccache: 205, ccacheIterator: 205, credentialsIterator: 209 }[messages[name].object];
    if (isForeign) expect(code, said).toBe(errorOfForeign[messages[name].object]);
    else if (malformed) expect([malformed, unknown], said).toContain(code);
    else if (code === 0)
      expect(
        failureOf(() => readReply(name, reply)),
        said,
      ).toBeUndefined();
    else expect(refusals, said).toContain(code);
  }
}

function checkKCM(frames: Buffer[], replies: Buffer[]): void {
  const isOfVersion = (frame: Buffer) => frame.length >= 4 && frame.readUInt16BE(0) === VERSION;
  const end = frames.findIndex((frame) => !isOfVersion(frame));
  expect(replies).toHaveLength(end < 0 ? frames.length : end);
  for (const [i, reply] of replies.entries()) {
    const frame = frames[i] as Buffer;
    const code = reply.readInt32BE(0);
    const said = `${frame.toString('hex')}: ${code}`;
    const name = operationNumbered(frame.readUInt16BE(2));
    expect(code === errorCodes.KRB5_FCC_INTERNAL.code, said).toBe(name === undefined);
    if (name === undefined) continue;
    const malformed = failureOf(() => readFields(new Reader(frame.subarray(4)), operations[name].request as Layout));
    if (malformed) expect(code, said).toBe(errorCodes.KRB5_CC_FORMAT.code);
    else if (code === 0) readFields(new Reader(reply.subarray(4)), operations[name].reply as Layout);
    else expect(refusals, said).toContain(code);
  }
}

const collecting = join(import.meta.dirname, '../setup/memory-after-collection.cjs');

/** Asks a program that was started with {@link collecting}. */
async function memoryAfterCollection(program: ChildProcess): Promise<number> {
  program.kill('SIGUSR2');
  const [said] = await once(program.stdout as Readable, 'data');
  return Number(said);
}

const memoryOf = (pid: number | undefined) =>
  Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);

it(`${FRAMES} mangled frames at a worker`, { timeout: 7_200_000 }, async () => {
  const { worker, path } = await startWorker(workerDirectory(memory));
  const sync = requestFrame('contextSync', uninitialised, {});
  const readings: number[] = [];
  for (let frames = 0; frames < FRAMES; frames += A_TURN * 4) {
    const owner = await RawConnection.open(path);
    await destroyAll(owner);
    const objects = await openObjects(owner);
    const turns = Array.from({ length: 4 }, () => turn(objects));
    for (const [i, received] of (await Promise.all(turns.map((each) => sent(path, each)))).entries()) {
      const each = turns[i] as Buffer[];
      const [first] = each[0] as Buffer;
      if (first === 2) checkKCM(each, repliesIn(received, true));
      else if (first === 0) checkCCAPI(each, repliesIn(received, false), objects.ccache);
      else expect(received).toHaveLength(0);
    }
    owner.kill();
    if ((frames / A_TURN) % 20 === 0) {
      // Other clients are served as ever.
      expect(await sendBytes({ path }, Buffer.concat([sync, Buffer.alloc(4)]))).toHaveLength(90);
      readings.push(memoryOf(worker.pid));
    }
  }
  expect(worker.exitCode).toBeNull();
  expectFlat(readings);
});

async function destroyAll(connection: RawConnection): Promise<void> {
  for (;;) {
    const first = connection.ask('contextOpenDefaultCCache', uninitialised, {});
    if ((await first.answered) !== 0) return;
    await connection.get('ccacheDestroy', (first.reply as { ccache: Identifier }).ccache, {});
  }
}

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
  const { launcher, port } = await startLauncher([`${directory}/front`, `--directory=${directory}/run`], {
    env: { NODE_OPTIONS: `--require ${collecting}` },
  });
  const addresses = [{ host: '127.0.0.1', port }, { path: `${directory}/front` }];
  const lines = [
    'CCAPI/1 uid=0\n',
    'CCAPI/1 uid=',
    '4294967295\n',
    '\n',
    'GET / HTTP/1.0\r\n\r\n',
    `${'9'.repeat(600)}\n`,
  ];
  const place = `${directory}/run/\\d+/S\\.ccapi`;
  const inNewForm = new RegExp(`^CCAPI/1 (ok path=${place}|error code=[a-z-]+ message=[ -~]+)\n$`);
  const inBareForm = new RegExp(`^(${place}|error: [ -~]+)\n$`);
  const readings: number[] = [];
  for (let i = 0; i < JUNK; i++) {
    const line = Buffer.from(lines[below(lines.length)] as string);
    for (let j = below(3); j > 0; j--) line[below(line.length)] = 2 + below(254);
    const answer = await new Promise<string>((resolve) => {
      let received = '';
      const socket = connect(addresses[i % 2] as { path: string });
      socket.setEncoding('latin1').on('data', (text: string) => {
        received += text;
      });
      socket.on('error', () => {}).once('close', () => resolve(received));
      socket.end(line);
    });
    const text = line.toString('latin1');
    const isBare = !text.startsWith('CCAPI/') && /^.{0,511}\n/s.test(text);
    // At the front door what begins with no text goes to a worker, which closes what is no request.
    if (i % 2 === 1 && (line[0] as number) < 0x20) expect(answer, text).toBe('');
    else expect(answer, text).toMatch(isBare ? inBareForm : inNewForm);
    if (i % 100 === 0) readings.push(await memoryAfterCollection(launcher));
  }
  expect(launcher.exitCode).toBeNull();
  expectFlat(readings);
  const uid = process.getuid?.();
  for (const address of addresses) {
    expect(await sendBytes(address, `CCAPI/1 uid=${uid}\n`)).toBe(`CCAPI/1 ok path=${directory}/run/${uid}/S.ccapi\n`);
  }
});
