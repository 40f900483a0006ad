// CCAPI_SERVER: the other ways to a server, and what is said of those that lead nowhere.
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { createServer } from 'node:net';
import { beforeAll, expect, it } from 'vitest';
import { requestFrame } from '../../proto/ccapi-codec.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { afterwards, end, start, temporaryDirectory } from '../setup/cleanup.ts';
import { ccapi, cleanEnvironment, programs, startLauncher } from '../setup/programs.ts';
import { startWorker, workerDirectory } from '../setup/worker.ts';

let base: string;
let path: string;
const list = (server: string, env: NodeJS.ProcessEnv = {}) =>
  ccapi(['list', '-A', '--json'], { env: { CCAPI_SERVER: server, CCAPI_AUTOSTART: 'no', ...env } });
const connect = () => `env CCAPI_DIRECTORY=${base} CCAPI_PORT=1 ${process.execPath} ${programs.ccapi} connect`;

beforeAll(async () => {
  base = workerDirectory();
  ({ path } = await startWorker(base));
});

it.each([
  ['a socket by its path', () => `unix://${path}`],
  ['a command', () => `exec:${connect()}`],
  ['the second where the first leads nowhere', () => `unix:///nonexistent,exec:${connect()}`],
])('leads there: %s', async (_, server) => {
  expect(await list(server())).toEqual({ code: 0, stdout: '[]\n', stderr: '' });
});

it('leads there: a launcher by its address', async () => {
  const { port } = await startLauncher([`--directory=${base}/run`]);
  const found = { code: 0, stdout: '[]\n', stderr: '' };
  expect(await list(`inetd://127.0.0.1:${port}`)).toEqual(found);
  expect(await list('inetd://127.0.0.1', { CCAPI_PORT: String(port) })).toEqual(found);
});

it.each([
  ['unix:///nonexistent/socket', '/nonexistent/socket: ENOENT'],
  ['inetd://127.0.0.1:1', 'nothing listens there'],
  ["exec:sh -c 'echo no such luck >&2; exit 3'", 'ended with 3: no such luck'],
  ['exec:no-such-program', 'no-such-program ended: spawn no-such-program ENOENT'],
  ['unix:///a,unix:///b', 'no credential-cache server: /a: ENOENT; /b: ENOENT'],
  ['gopher://x', 'CCAPI_SERVER: "gopher://x" is not inetd://HOST[:PORT], unix:///PATH'],
])('says what is wrong: %s', async (server, message) => {
  const { code, stdout, stderr } = await list(server);
  expect([code, stdout]).toEqual([1, '']);
  expect(stderr).toContain(message);
  // The error of the only one is told as it is.
  expect(stderr.includes('no credential-cache server')).toBe(server.includes(','));
});

it("does not use another user's socket", async () => {
  if (process.getuid?.() !== 0) return;
  const directory = temporaryDirectory();
  mkdirSync(`${directory}/d`);
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(`${directory}/d/s`, resolve));
  afterwards(() => void server.close());
  chownSync(`${directory}/d/s`, 65_534, 65_534);
  chmodSync(`${directory}/d/s`, 0o777);
  expect((await list(`unix://${directory}/d/s`)).stderr).toContain('belongs to uid 65534; it is not used');
});

it('ccapi connect answers what came before its input ended, and ends; and it ends with the server', async () => {
  const request = requestFrame('contextSync', uninitialised, {});
  const env = { CCAPI_DIRECTORY: base, CCAPI_PORT: '1' };
  const asked = start(process.execPath, [programs.ccapi, 'connect'], {
    env: cleanEnvironment(env),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const received: Buffer[] = [];
  asked.stdout?.on('data', (chunk: Buffer) => received.push(chunk));
  asked.stdin?.end(Buffer.concat([request, request]));
  await new Promise((resolve) => asked.once('close', resolve));
  expect([asked.exitCode, Buffer.concat(received).length]).toEqual([0, 2 * 90]);

  const other = workerDirectory();
  const { worker } = await startWorker(other);
  const staying = start(process.execPath, [programs.ccapi, 'connect'], {
    env: cleanEnvironment({ ...env, CCAPI_DIRECTORY: other }),
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  staying.stdin?.write(request);
  await new Promise((resolve) => staying.stdout?.once('data', resolve));
  const ended = new Promise((resolve) => staying.once('close', resolve));
  await end(worker);
  await ended;
  expect(staying.exitCode).toBe(0);
});
