// How a client finds its worker, and what it does when what it finds is not as it should be.
import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { beforeEach, describe, expect, it } from 'vitest';
import { openSocket } from '../../client/connect-to-path.ts';
import { Context } from '../../client/index.ts';
import { afterwards, eventually, start, temporaryDirectory, workersBelow } from '../setup/cleanup.ts';
import { cleanEnvironment, freePort, programs, run, startLauncher } from '../setup/programs.ts';
import { describeWith } from '../setup/requirements.ts';

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
    launcher: [process.execPath, programs.launcher, `--directory=${base}`, '--persist=never'],
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

  it('one in a parent that others may write to', async () => {
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

describe('a connection that dies', () => {
  /** A server that ends each connection when something is on it: unread, or read and not answered. */
  async function dying(reads: boolean, times = 1): Promise<{ connections(): number }> {
    mkdirSync(directory, { mode: 0o700 });
    let connections = 0;
    const server = createServer({ pauseOnConnect: true }, (socket) => {
      if (++connections === times) server.close();
      if (reads) socket.once('data', () => socket.destroy()).resume();
      // By then what was written at once with the connection has come, and stands in its queue.
      else setTimeout(() => socket.destroy(), 50);
    });
    await new Promise<void>((resolve) => server.listen(`${directory}/S.ccapi`, resolve));
    afterwards(() => void server.close());
    return { connections: () => connections };
  }

  it('with requests unread on it is made again, and the caller does not notice', async () => {
    const { connections } = await dying(false);
    await using context = open();
    const ccache = await context.createCCache('a', 'alice@R');
    expect(await ccache.getPrincipal()).toBe('alice@R');
    expect(connections()).toBe(1);
    expect(workersBelow(base)).toHaveLength(1);
  });

  it('with requests read that change nothing is made again too', async () => {
    await dying(true);
    await using context = open();
    const answers = await Promise.all([context.getDefaultCCacheName(), context.getChangeTime()]);
    expect(answers[0]).toBe('Initial default ccache');
  });

  it('with a request read that changes something says that the outcome is not known', async () => {
    await dying(true);
    await using context = open();
    const unknown = code('ccErrServerUnavailable', 'whether it was done is not known');
    await expect(context.createCCache('a', 'alice@R')).rejects.toThrow(unknown);
    expect(await (await context.createCCache('b', 'bob@R')).getPrincipal()).toBe('bob@R');
  });

  it('again and again is an error, and not tried for ever', async () => {
    const { connections } = await dying(true, 100);
    await using context = open();
    await expect(context.getDefaultCCacheName()).rejects.toThrow(code('ccErrServerUnavailable'));
    expect(connections()).toBeLessThan(20);
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
    env: { KRB5_CONFIG: '/nonexistent', CCAPI_DIRECTORY: base, CCAPI_PORT: '1' },
    launcher: [process.execPath, programs.launcher, `--directory=${base}`],
  };
  const script = `
    const { Context } = require('./client/index.ts');
    new Context(${JSON.stringify(options)}).createNewCCache('alice@R').then(() => console.log('made'));`;
  const child = start(process.execPath, ['--require', 'tsx/cjs', '-e', script], {
    env: cleanEnvironment(),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  child.stdout?.on('data', (chunk: Buffer) => {
    said += chunk;
  });
  await new Promise((resolve) => child.once('close', resolve));
  expect([child.exitCode, said]).toEqual([0, 'made\n']);
});

it('where too many are on their way to a socket, one more waits for its turn', async () => {
  const path = `${temporaryDirectory()}/socket`;
  const script = `require('node:net').createServer((socket) => socket.end()).listen({ path: '${path}', backlog: 1 }, () => {
    console.log('listening');
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1000);
  });`;
  const child = start(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'inherit'] });
  await new Promise((resolve) => child.stdout?.once('data', resolve));
  const tried = await Promise.all(
    Array.from({ length: 5 }, () => {
      const socket = connect(path);
      afterwards(() => void socket.destroy());
      return new Promise<string>((resolve) => {
        socket.once('connect', () => resolve('connected'));
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(error.code as string));
      });
    }),
  );
  expect(tried).toContain('EAGAIN');
  (await openSocket(path)).destroy();
});

describeWith(['Linux'], 'a program that has no descriptor left', () => {
  it.each([
    ['a private launcher', {}, 'EMFILE'],
    ['a program as its server', { CCAPI_SERVER: 'exec:/bin/cat' }, '/bin/cat: no descriptor is left for its pipes'],
  ])('is told so where it needs %s, and goes on', async (_, settings, message) => {
    const lines = `
      const { closeSync, openSync } = require('node:fs');
      const { Context } = require(${JSON.stringify(programs.library)});
      const held = [];
      try {
        for (;;) held.push(openSync('/dev/null'));
      } catch {}
      // Enough for a file, and for no child's pipes.
      for (const descriptor of held.splice(0, 3)) closeSync(descriptor);
      const context = new Context({ launcher: ${JSON.stringify([process.execPath, programs.launcher])} });
      context.getServerPath().catch((error) => setImmediate(() => console.log(error.name, error.message)));`;
    const few = ['-c', 'ulimit -n 64; exec "$@"', 'sh', process.execPath, '-e', lines];
    const env = { CCAPI_DIRECTORY: base, CCAPI_PORT: '1', ...settings };
    const { code, stdout, stderr } = await run('/bin/sh', few, { env });
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/^ccErrServerUnavailable /);
    expect(stdout).toContain(message);
  });
});
