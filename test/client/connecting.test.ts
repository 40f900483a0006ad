// How a client finds its worker, and what it does when what it finds is not as it should be.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server, type Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { Context } from '../../client/index.ts';
import { afterwards, eventually, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, programs, startLauncher } from '../setup/programs.ts';

const uid = process.getuid?.() as number;
const code = (name: string, message = '') =>
  expect.objectContaining({ name, message: expect.stringContaining(message) });

let base: string;
let directory: string;

beforeEach(() => {
  base = temporaryDirectory();
  directory = `${base}/${uid}`;
});

const open = (settings: NodeJS.ProcessEnv = {}) =>
  new Context({
    env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: base, CCAPI_PORT: '1', ...settings },
    launcher: [process.execPath, programs.launcher, `--directory=${base}`],
  });

/** A server of the test's own at a path; it tells how many connections it got. */
async function listen(path: string, onConnection: (socket: Socket) => void): Promise<Server> {
  const server = createServer().on('connection', onConnection);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  afterwards(() => void server.close());
  return server;
}

/** Something on a port of its own that gives every connection one answer and closes it. */
async function answering(answer: string): Promise<number> {
  const port = await freePort();
  const server = createServer((socket) => socket.end(answer));
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve));
  afterwards(() => void server.close());
  return port;
}

describe('a directory that is not safe is refused, and nothing is sent', () => {
  const plant = async (prepare: () => void) => {
    const elsewhere = `${base}/elsewhere`;
    mkdirSync(elsewhere, { mode: 0o700 });
    let connections = 0;
    await listen(`${elsewhere}/S.ccapi`, () => connections++);
    prepare();
    await using context = open();
    await expect(context.getDefaultCCacheName()).rejects.toThrow(code('ccErrServerInsecure', directory));
    expect(connections).toBe(0);
  };

  it('a link to another', () => plant(() => symlinkSync(`${base}/elsewhere`, directory)));

  it('one that others may enter', () =>
    plant(() => {
      mkdirSync(directory);
      chmodSync(directory, 0o711);
    }));

  it('a file in its place', () => plant(() => writeFileSync(directory, '')));

  it('one whose parent others may write to', async () => {
    mkdirSync(directory, { mode: 0o700 });
    chmodSync(base, 0o777);
    await using context = open();
    await expect(context.getDefaultCCacheName()).rejects.toThrow(code('ccErrServerInsecure', `${base} has mode 777`));
  });

  it('also where a launcher answered it', async () => {
    const port = await answering(`CCAPI/1 ok path=${base}/liar/S.ccapi\n`);
    mkdirSync(`${base}/liar`);
    await using context = open({ CCAPI_PORT: String(port) });
    await expect(context.getServerPath()).rejects.toThrow(code('ccErrServerInsecure', `${base}/liar`));
  });
});

describe('a launcher that', () => {
  it.each([
    ['refuses', 'CCAPI/1 error code=config message=/etc/krb5.conf:3: port\n', '/etc/krb5.conf:3: port'],
    ['says nothing', '', 'closed the connection without an answer'],
    ['is none', 'HTTP/1.1 400 Bad Request\r\n\r\n', 'the launcher answered "HTTP/1.1 400 Bad Request'],
    ['says no end of it', 'x'.repeat(4096), 'the launcher answered "xxx'],
  ])('%s is quoted in the error', async (_, answer, message) => {
    await using context = open({ CCAPI_PORT: String(await answering(answer)) });
    await expect(context.getServerPath()).rejects.toThrow(code('ccErrServerUnavailable', message));
  });
});

describe('a connection that dies before its first reply', () => {
  it('is made once more through the launcher, and the caller does not notice', async () => {
    mkdirSync(directory, { mode: 0o700 });
    let connections = 0;
    const dying = await listen(`${directory}/S.ccapi`, (socket) => {
      connections++;
      dying.close();
      socket.once('data', () => socket.destroy());
    });
    await using context = open();
    const ccaches = await Promise.all([context.createCCache('a', 'alice@R'), context.createCCache('b', 'bob@R')]);
    expect(await Promise.all(ccaches.map((ccache) => ccache.getPrincipal()))).toEqual(['alice@R', 'bob@R']);
    expect(connections).toBe(1);
    expect(workersBelow(base)).toHaveLength(1);
  });

  it('again is an error, and not tried for ever', async () => {
    mkdirSync(directory, { mode: 0o700 });
    let connections = 0;
    await listen(`${directory}/S.ccapi`, (socket) => {
      connections++;
      socket.once('data', () => socket.destroy());
    });
    await using context = open();
    await expect(context.getDefaultCCacheName()).rejects.toThrow(code('ccErrServerUnavailable'));
    expect(connections).toBeLessThanOrEqual(3);
  });
});

it('a context goes on with the next server when its own has ended', async () => {
  await using context = open();
  const ccache = await context.createNewCCache('alice@R');
  const before = await context.getChangeTime();
  const [worker] = workersBelow(base) as [number];
  process.kill(worker, 'SIGKILL');
  await eventually(() => workersBelow(base).length === 0);
  await eventually(
    async () => (await context.getDefaultCCacheName().catch(() => undefined)) === 'Initial default ccache',
  );
  await expect(ccache.getName()).rejects.toThrow(code('ccErrInvalidCCache'));
  expect(await context.getChangeTime()).toBeGreaterThan(before);
  expect(await (await context.createNewCCache('bob@R')).getPrincipal()).toBe('bob@R');
});

it('a launcher that runs is asked before one is started', async () => {
  const { port } = await startLauncher([`--directory=${base}`]);
  await using context = open({ CCAPI_PORT: String(port), CCAPI_AUTOSTART: 'no' });
  expect(await context.getServerPath()).toBe(`${directory}/S.ccapi`);
});

it('a path that is too long for a socket is refused, and not cut', async () => {
  const port = await answering(`CCAPI/1 ok path=${base}/${'x'.repeat(100)}/S.ccapi\n`);
  await using context = open({ CCAPI_PORT: String(port) });
  await expect(context.getServerPath()).rejects.toThrow(code('ccErrServerUnavailable', 'longer than a socket'));
});

it('a program ends although its context is still open', async () => {
  const options = {
    env: { CCAPI_DIRECTORY: base },
    launcher: [process.execPath, programs.launcher, `--directory=${base}`],
  };
  const script = `
    const { Context } = require('./client/index.ts');
    new Context(${JSON.stringify(options)}).createNewCCache('alice@R').then(() => console.log('made'));`;
  const child = start(process.execPath, ['--require', 'tsx/cjs', '-e', script], {
    env: cleanEnvironment({ CCAPI_PORT: '1' }),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect([child.exitCode, said]).toEqual([0, 'made\n']);
});
