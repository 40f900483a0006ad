import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import { escapedJSON } from '../etc/host/escape.ts';
import type { Log } from '../etc/host/log.ts';
import { pauseHandle } from '../etc/host/socket-handle.ts';
import {
  isBare,
  LINE_DEADLINE,
  MAX_LINE,
  parseRequestLine,
  RendezvousError,
  type RendezvousRequest,
  replyLine,
  SETTINGS_REQUEST,
  settingsReplyLine,
  type WorkerKey,
} from '../proto/rendezvous.ts';
import type { SettingsReport } from '../proto/status.ts';
import type { Peer } from './peer.ts';
import { type Refusals, refusalKey } from './refusals.ts';
import { dropSurplus } from './surplus.ts';

/** The two directions of a connection: one socket, or two pipes. */
interface Stream {
  input: Socket;
  output: Socket;
}

/** What a rendezvous needs beside its stream. */
interface RendezvousOptions {
  /** Whether claims are held against what the kernel tells of the peer. */
  verifyUid: boolean;
  /** Whether each login session has a worker of its own. */
  isPerSession: boolean;
  socketOf(key: WorkerKey): Promise<string>;
  report(): SettingsReport;
  /** Called when the whole line has come, and when all that is left is the end of the connection. */
  onLine?(): void;
  onAnswer?(): void;
  /** Whether the passwd database has a uid, as far as it is known at once. */
  isKnown(uid: number): boolean;
  refusals: Refusals;
  log: Log;
}

/** One exchange: reads the request, checks the claim, answers with the path of the worker's socket, and closes. */
export async function rendezvous(stream: Stream, peer: Peer, options: RendezvousOptions): Promise<void> {
  let bare = false;
  let answer: string;
  try {
    const line = await readLine(stream.input);
    options.onLine?.();
    bare = isBare(line);
    if (line === SETTINGS_REQUEST) answer = settingsReplyLine(escapedJSON(options.report()));
    else answer = replyLine(bare, { path: await findWorker(line, peer, options) });
  } catch (error) {
    const refusal = asRefusal(error, options);
    // A fault in the settings has been logged when they were read.
    if (refusal.code !== 'config')
      options.refusals.add(
        refusalKey(peer, options.isKnown),
        () => `${peer.describe()}: ${refusal.code}: ${refusal.message}`,
      );
    answer = replyLine(bare, refusal);
  }
  options.onAnswer?.();
  await finish(stream, answer);
}

function findWorker(line: string, peer: Peer, options: RendezvousOptions): Promise<string> {
  const request = parseRequestLine(line);
  checkClaim(request, peer, options.verifyUid);
  const session = request.session ?? (options.isPerSession ? peer.session() : undefined);
  return options.socketOf({ uid: request.uid, session });
}

/** Sends the last line, and waits until the peer has nothing more to send. */
async function finish({ input, output }: Stream, lastLine: string): Promise<void> {
  const both = [...new Set([input, output])];
  const end = () => {
    for (const stream of both) stream.destroy();
  };
  const deadline = setTimeout(end, LINE_DEADLINE);
  dropSurplus(input);
  output.end(lastLine);
  await Promise.all(both.map((stream) => new Promise((resolve) => finished(stream, resolve))));
  clearTimeout(deadline);
}

function checkClaim({ uid }: RendezvousRequest, peer: Peer, verify: boolean): void {
  if (!verify && !peer.certain) return;
  const owner = peer.identify();
  if (owner === undefined) {
    throw new RendezvousError('unidentified', 'the kernel does not name the owner of this connection; keep it open');
  }
  if (owner !== uid && owner !== 0) {
    throw new RendezvousError('not-yours', `uid ${owner} may not ask for uid ${uid}`);
  }
}

/** Reads up to the newline, and nothing more until {@link finish}. */
function readLine(input: Socket): Promise<string> {
  return new Promise((resolve, reject) => {
    let received = '';
    const fail = (code: 'syntax' | 'timeout', message: string) => reject(new RendezvousError(code, message));
    const deadline = setTimeout(() => fail('timeout', `no line came within ${LINE_DEADLINE / 1000} s`), LINE_DEADLINE);
    const take = (chunk: Buffer) => {
      received += chunk.toString('latin1', 0, MAX_LINE);
      const end = received.indexOf('\n');
      if (end < 0 && received.length < MAX_LINE) return;
      input.off('data', take);
      pauseHandle(input);
      clearTimeout(deadline);
      if (end >= 0 && end < MAX_LINE) resolve(received.slice(0, end).replace(/\r$/, ''));
      else fail('syntax', `a line is at most ${MAX_LINE} bytes long`);
    };
    // It may stand still, with its first bytes put back, after it was looked at for what it is.
    input.on('data', take).resume();
    input.once('end', () => fail('syntax', 'the line has no newline'));
    input.on('error', () => fail('syntax', 'the connection broke'));
    input.once('close', () => clearTimeout(deadline));
  });
}

function asRefusal(error: unknown, { refusals }: RendezvousOptions): RendezvousError {
  if (error instanceof RendezvousError) return error;
  refusals.add('internal errors', () => `internal error: ${(error as Error).stack}`);
  return new RendezvousError('internal', 'the launcher failed; the system log says how');
}
