import { spawn } from 'node:child_process';
import { connect } from 'node:net';
import type { Readable, Writable } from 'node:stream';
import { isRootsPort, type Loopback, listenerUids } from '../etc/host/listener-owner.ts';
import { monotonic } from '../etc/host/monotonic.ts';
import {
  MAX_LINE,
  MAX_SETTINGS_REPLY,
  NO_LAUNCHER,
  parseReplyLine,
  parseSettingsReply,
  RendezvousError,
  requestLine,
  SETTINGS_REQUEST,
  type WorkerKey,
} from '../proto/rendezvous.ts';
import type { SettingsReport } from '../proto/status.ts';
import { textFromBytes } from '../proto/text.ts';

/** How long a launcher may take for its answer, in milliseconds; it may have to start a worker on a busy machine. */
const ANSWER_DEADLINE = 30_000;

/** How long it may take to say which settings it goes by; nothing has to be started for that. */
const SETTINGS_DEADLINE = 5000;

/** A port is another user's: it is not spoken to. */
export class UntrustedPort extends RendezvousError {
  /** `uid` is undefined where no program listens there any more. */
  constructor(port: number, uid: number | undefined) {
    const what = uid === undefined ? 'a program has left' : `a program of uid ${uid} listens on`;
    super(NO_LAUNCHER, `${what} port ${port}; only your own or root's is asked`);
  }
}

/**
 * Asks the launcher on a loopback port for the path of a worker; undefined where nothing listens there. Throws
 * {@link UntrustedPort} where the kernel says that the port is neither root's nor the asking uid's. `deadline` is in ms.
 */
export async function askPort(port: number, key: WorkerKey, deadline = ANSWER_DEADLINE): Promise<string | undefined> {
  for (const host of ['127.0.0.1', '::1'] as const) {
    // Once connected, before anything is sent: earlier, the port could change hands in between.
    const path = await askAddress(host, port, key, deadline, () => checkListener(host, port, key.uid));
    if (path !== undefined) return path;
  }
  return undefined;
}

/**
 * Throws {@link UntrustedPort} where another user than root listens, and where none does any more: a program that has
 * accepted the connection can close its listener, to be unknown. A port of root's alone may be led elsewhere by root.
 */
function checkListener(host: Loopback, port: number, uid: number): void {
  const owners = listenerUids(host, port);
  const foreign = owners?.find((owner) => owner !== 0 && owner !== uid);
  if (foreign !== undefined) throw new UntrustedPort(port, foreign);
  if (owners?.length === 0 && !isRootsPort(port)) throw new UntrustedPort(port, undefined);
}

/** Runs a launcher as a child and asks it over its standard input and output: to it, the client looks like inetd. */
export async function askChild(
  command: readonly [string, ...string[]],
  key: WorkerKey,
  env: NodeJS.ProcessEnv,
): Promise<string> {
  const [program, ...args] = command;
  const child = spawn(program, args, { env: forLauncher(env), stdio: ['pipe', 'pipe', 'ignore'] });
  const failed = new Promise<never>((_, reject) => {
    child.once('error', (error) => reject(new RendezvousError(NO_LAUNCHER, `${program}: ${error.message}`)));
  });
  // Node makes no pipes where a descriptor is wanting, and tells that by the event alone.
  if (!child.stdin) return failed;
  try {
    return await Promise.race([exchange(child.stdout, child.stdin, forPath(key), ANSWER_DEADLINE), failed]);
  } finally {
    child.stdin.destroy();
    child.stdout.destroy();
    child.unref();
  }
}

/** What a launcher reads of the environment. What is for this program's Node is not for its: it may slow it, or stop it. */
function forLauncher(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  const wanted = /^(PATH|HOME|KRB5_CONFIG|XDG_RUNTIME_DIR|CCAPI_.*)$/;
  return Object.fromEntries(Object.entries(env).filter(([name]) => wanted.test(name)));
}

/** One line that is asked, and how its answer is read. */
interface Question<T> {
  line: string;
  /** The longest answer, in bytes with its newline. */
  most: number;
  parse(answer: string): T;
}

function forPath(key: WorkerKey): Question<string> {
  return { line: requestLine(key), most: MAX_LINE, parse: parseReplyLine };
}

const forSettings: Question<SettingsReport> = {
  line: `${SETTINGS_REQUEST}\n`,
  most: MAX_SETTINGS_REPLY,
  parse: parseSettingsReply,
};

/**
 * Asks the launcher on a loopback port which settings it goes by; undefined where nothing listens there. Throws as
 * {@link askPort} does, and a `RendezvousError` for a launcher that does not say.
 */
export function askSettings(port: number, uid: number): Promise<SettingsReport | undefined> {
  const host = '127.0.0.1';
  return ask(host, port, forSettings, SETTINGS_DEADLINE, () => checkListener(host, port, uid));
}

/**
 * Asks the launcher at an address for the path of a worker; undefined where nothing listens there. `check` is called once
 * connected, before anything is sent. `deadline` is in ms.
 */
export function askAddress(
  host: string,
  port: number,
  key: WorkerKey,
  deadline = ANSWER_DEADLINE,
  check: () => void = () => {},
): Promise<string | undefined> {
  return ask(host, port, forPath(key), deadline, check);
}

async function ask<T>(
  host: string,
  port: number,
  question: Question<T>,
  deadline: number,
  check: () => void,
): Promise<T | undefined> {
  const started = monotonic();
  const socket = connect({ host, port });
  // A listener that accepts nothing keeps a connection waiting for minutes once its queue is full.
  const late = () => socket.destroy(new RendezvousError(NO_LAUNCHER, `no connection within ${deadline / 1000} s`));
  const timer = setTimeout(late, deadline);
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once('connect', resolve);
      socket.once('error', reject);
    });
    clearTimeout(timer);
    check();
    return await exchange(socket, socket, question, Math.max(deadline - (monotonic() - started), 1));
  } catch (error) {
    if (meansNoLauncher(error)) return undefined;
    throw error;
  } finally {
    clearTimeout(timer);
    socket.destroy();
  }
}

function exchange<T>(input: Readable, output: Writable, question: Question<T>, deadlineMs: number): Promise<T> {
  return new Promise((resolve, reject) => {
    // Bytes and not text: a path is UTF-8, and a character may come in two pieces.
    let received = Buffer.alloc(0);
    const fail = (message: string) => reject(new RendezvousError(NO_LAUNCHER, message));
    const deadline = setTimeout(() => fail(`no answer within ${Math.ceil(deadlineMs / 1000)} s`), deadlineMs);
    input.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      const end = received.indexOf('\n');
      if (end < 0 && received.length < question.most) return;
      clearTimeout(deadline);
      try {
        resolve(question.parse(textFromBytes(received, 0, end < 0 ? undefined : end)));
      } catch (error) {
        reject(error);
      }
    });
    const closed = () => {
      clearTimeout(deadline);
      fail('the launcher closed the connection without an answer');
    };
    input.once('close', closed);
    input.on('error', closed);
    output.on('error', closed);
    output.write(question.line);
  });
}

function meansNoLauncher(error: unknown): boolean {
  const { code } = error as NodeJS.ErrnoException;
  return code === 'ECONNREFUSED' || code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT' || code === 'ENETUNREACH';
}
