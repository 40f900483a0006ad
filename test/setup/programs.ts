import { type ChildProcess, execFile } from 'node:child_process';
import { connect, createServer } from 'node:net';
import { join } from 'node:path';
import { start } from './cleanup.ts';

const root = join(import.meta.dirname, '../..');

/** Our programs and the library, as they are built. */
export const programs = {
  ccapi: join(root, 'dist/ccapi.js'),
  launcher: join(root, 'dist/ccapi-launcher.js'),
  server: join(root, 'dist/ccapi-server.js'),
  library: join(root, 'dist/index.js'),
};

/** How a program ended, and what it said. */
export interface Outcome {
  code: number;
  stdout: string;
  stderr: string;
}

/** The identity and environment of a program. */
export interface RunOptions {
  uid?: number | undefined;
  gid?: number | undefined;
  env?: NodeJS.ProcessEnv;
  input?: string;
}

/**
 * The environment that a test's programs get: nothing of the machine's own settings. A test's users have no process between two
 * programs; their servers stay all the same, so that it does not depend on the machine's load how long they do.
 */
export function cleanEnvironment(env: NodeJS.ProcessEnv = {}): NodeJS.ProcessEnv {
  const PATH = '/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
  return { PATH, KRB5_CONFIG: '/nonexistent', TZ: 'UTC', CCAPI_ALONE_TIMEOUT: '600', ...env };
}

/** Runs a program to its end. */
export function run(program: string, args: string[], { uid, gid, env, input = '' }: RunOptions = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    const identity = uid === undefined ? {} : { uid, gid: gid as number };
    const options = { ...identity, env: cleanEnvironment(env), cwd: '/', maxBuffer: 1 << 28 };
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? -1) : 0, stdout, stderr });
    });
    child.stdin?.on('error', () => {});
    child.stdin?.end(input);
  });
}

/** Runs a program that has to succeed, and returns what it printed. */
export async function succeed(program: string, args: string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${stdout}${stderr}`);
  return stdout;
}

/** Runs our command. */
export function ccapi(args: string[], options: RunOptions = {}): Promise<Outcome> {
  return run(process.execPath, [programs.ccapi, ...args], options);
}

/** A port of the loopback address without a listener. */
export function freePort(): Promise<number> {
  return new Promise((resolve) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
  });
}

/** Whether a program answers on a port of the loopback address. */
export function isPortOpen(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}

/**
 * Sends bytes to an address and returns all that is received until the other end closes. An end that closes before it
 * has read them (EPIPE) is no error.
 */
export function sendBytes(
  address: { host: string; port: number } | { path: string },
  bytes: string | Buffer,
  enough = Number.POSITIVE_INFINITY,
): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const socket = connect(address, () => bytes.length > 0 && socket.write(bytes));
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
      if (received.length >= enough) socket.destroy();
    });
    socket.once('error', (error: NodeJS.ErrnoException) => error.code !== 'EPIPE' && reject(error));
    socket.once('close', () => resolve(received));
  });
}

/** A launcher that listens by hand on a port of its own, and where `args` say else, for the uid of the tests unless another is said. */
export async function startLauncher(
  args: string[],
  { env = {}, ...identity }: Pick<RunOptions, 'env' | 'uid' | 'gid'> = {},
): Promise<{ port: number; launcher: ChildProcess; stderr(): string }> {
  const port = await freePort();
  let stderr = '';
  const launcher = start(process.execPath, [programs.launcher, '--listen', String(port), ...args], {
    ...(identity as { uid: number; gid: number }),
    env: cleanEnvironment(env),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  launcher.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
    stderr += chunk;
  });
  await new Promise<void>((resolve, reject) => {
    launcher.stdout?.once('data', () => resolve());
    launcher.once('exit', () => reject(new Error(`the launcher ended: ${stderr}`)));
  });
  return { port, launcher, stderr: () => stderr };
}
