// The worker as a process: one to a directory however many start, and what a peer may do to it.
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync } from 'node:fs';
import { connect } from 'node:net';
import { userInfo } from 'node:os';
import { beforeEach, describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { type Layout, type Values, writeFields } from '../../proto/fields.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { type OperationName, type OperationRequest, operations, VERSION } from '../../proto/kcm.ts';
import { parsePrincipal } from '../../proto/principal.ts';
import { Writer } from '../../proto/writer.ts';
import { end, eventually, memory, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { programs, run, sendBytes } from '../setup/programs.ts';
import { startWorker as startWorkerBelow, workerDirectory } from '../setup/worker.ts';
import { credentialFor } from './model/model.ts';

const uid = process.getuid?.() as number;
let base: string;
let directory: string;

function makeDirectory(): void {
  base = workerDirectory();
  directory = `${base}/${uid}`;
}

beforeEach(makeDirectory);

/** One that forgets what it holds when it ends, wherever its directory is. */
const startWorker = (...args: string[]) => startWorkerBelow(base, '--persist=never', ...args);

const openContext = () =>
  new Context({ env: { CCAPI_DIRECTORY: base, CCAPI_AUTOSTART: 'no', CCAPI_PORT: '1', KRB5_CONFIG: '/x' } });
const gone = (worker: ChildProcess) => new Promise((resolve) => worker.once('exit', (code) => resolve(code)));

describe('of any number of workers in one directory', () => {
  it('one serves and the others leave, and all say that the place is served', async () => {
    const started = await Promise.all(Array.from({ length: 12 }, () => startWorker()));
    expect(new Set(started.map(({ said }) => said))).toEqual(new Set(['ok\n']));
    await eventually(() => workersBelow(base).length === 1);
    expect(readdirSync(directory).filter((name) => name === 'S.ccapi')).toHaveLength(1);
  });

  it('one takes over the socket of a worker that was killed', async () => {
    const { worker } = await startWorker();
    const ended = gone(worker);
    worker.kill('SIGKILL');
    await ended;
    expect(existsSync(`${directory}/S.ccapi`)).toBe(true);
    const started = await Promise.all(Array.from({ length: 12 }, () => startWorker()));
    expect(new Set(started.map(({ said }) => said))).toEqual(new Set(['ok\n']));
    await eventually(() => workersBelow(base).length === 1);
    await using context = openContext();
    expect(await context.getServerPath()).toBe(`${directory}/S.ccapi`);
  });
});

describe('a worker', () => {
  it('ends at SIGTERM with 0, and leaves nothing in its directory', async () => {
    const { worker } = await startWorker();
    const exit = gone(worker);
    await end(worker);
    expect(await exit).toBe(0);
    expect(readdirSync(directory)).toEqual([]);
  });

  it.runIf(process.platform === 'linux')('has noted the account before it answers a request', async () => {
    base = workerDirectory(memory);
    await startWorkerBelow(base);
    await using context = openContext();
    await context.createNewCCache('alice@R');
    expect(readFileSync(`${base}/${uid}/caches/account`, 'utf8')).toContain(userInfo().username);
  });

  it('refuses a directory that others may look into, and says so', async () => {
    const open = `${temporaryDirectory()}/open`;
    mkdirSync(`${open}/${uid}`, { mode: 0o755, recursive: true });
    const { code, stdout } = await run(process.execPath, [programs.server, `--directory=${open}`]);
    expect(code).toBe(1);
    expect(stdout).toBe(`error ${open}/${uid} has mode 755 and not 700; it is not used\n`);
  });
});

describe('a peer', () => {
  it('that does not read its replies is not read from, and is served once it reads', async () => {
    const { worker } = await startWorker();
    await using context = openContext();
    await context.createNewCCache('alice@R');
    const megabyte = await withMegabyte(context);
    const before = memoryOf(worker);
    const slow = connect(`${directory}/S.ccapi`);
    await new Promise((resolve) => slow.once('connect', resolve));
    slow.pause();
    slow.write(Buffer.concat(Array.from({ length: 400 }, () => askForMegabyte)));
    // Others are served meanwhile, and of the 400 MB of replies no more than a few wait in the worker.
    for (let i = 0; i < 50; i++) expect(await megabyte.getPrincipal()).toBe('alice@R');
    expect(memoryOf(worker) - before).toBeLessThan(60 * 1024);
    let received = 0;
    slow.on('data', (chunk: Buffer) => {
      received += chunk.length;
    });
    slow.resume();
    await eventually(() => received > 400 * (1 << 20));
    slow.destroy();
  });

  it.each([
    ['64k', 1],
    ['8m', 8],
  ])('may leave as much unread as max_output = %s says, and is not answered beyond that', async (limit, answered) => {
    await startWorker(`--max-output=${limit}`);
    await using context = openContext();
    await withMegabyte(context);
    const slow = connect(`${directory}/S.ccapi`);
    await new Promise((resolve) => slow.once('connect', resolve));
    slow.pause();
    // What each of them makes shows that the one before it was answered, with a megabyte.
    const make = (i: number) => kcmRequest('initialize', { name: `made ${i}`, principal: parsePrincipal('slow@R') });
    slow.write(Buffer.concat(Array.from({ length: 30 }, (_, i) => [askForMegabyte, make(i)]).flat()));
    const made = async () => {
      let count = -1;
      for await (const _ of context.ccaches()) count++;
      return count;
    };
    await eventually(async () => (await made()) >= answered - 1);
    for (let i = 0; i < 20; i++) expect(await made()).toBeLessThanOrEqual(answered);
    slow.resume();
    await eventually(async () => (await made()) === 30);
    slow.destroy();
  });

  it('that loses the framing is answered what came before it, and is closed; no other is', async () => {
    await startWorker();
    await using context = openContext();
    await context.createNewCCache('alice@R');
    const request = requestFrame('contextSync', uninitialised, {});
    const answer = await sendBytes(
      { path: `${directory}/S.ccapi` },
      Buffer.concat([request, Buffer.alloc(4), request]),
    );
    expect(answer).toHaveLength(90);
    expect(await sendBytes({ path: `${directory}/S.ccapi` }, Buffer.from('ffffffff0000', 'hex'))).toBe('');
    expect(await context.getDefaultCCacheName()).toBe('Initial default ccache');
  });
});

/** Kilobytes of memory that a process has to itself. */
function memoryOf({ pid }: ChildProcess): number {
  return Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]);
}

/** A request of KCM as a frame. */
function kcmRequest<Name extends OperationName>(name: Name, request: OperationRequest<Name>): Buffer {
  const args = new Writer();
  writeFields(args, operations[name].request as Layout, request as Values<Layout>);
  return new Writer(args.length + 8)
    .u32(args.length + 4)
    .u16(VERSION)
    .u16(operations[name].number)
    .bytes(args.finish())
    .finish();
}

const askForMegabyte = kcmRequest('getCredList', { name: 'megabyte' });

/** A ccache with a list of credentials of a megabyte. */
async function withMegabyte(context: Context) {
  const ccache = await context.createCCache('megabyte', 'alice@R');
  await ccache.storeCredentials({ ...credentialFor('s@R'), ticket: { type: 0, data: Buffer.alloc(1 << 20) } });
  return ccache;
}
