import type { ServerURI } from '../etc/config/server-uri.ts';
import { requestFrame } from '../proto/ccapi-codec.ts';
import { CCAPIError } from '../proto/errors.ts';
import { FrameReader } from '../proto/framing.ts';
import { uninitialised } from '../proto/identifier.ts';
import { type ByteStream, type ChildExit, ChildStream } from './child-stream.ts';

/** How long a server behind a program may take for its first answer, in milliseconds; a password may be asked for. */
const FIRST_ANSWER = 120_000;

/**
 * Runs a program that gives the byte stream of a server. Throws 223 with what it said where it does not, or not within
 * `deadline` milliseconds.
 */
export async function openCommand(
  uri: ServerURI & { scheme: 'exec' },
  env: NodeJS.ProcessEnv,
  deadline = FIRST_ANSWER,
): Promise<ByteStream> {
  const stream = new ChildStream(uri.command, forCommand(env));
  const outcome = await readFirstAnswer(uri, stream, undefined, deadline);
  if (!outcome) return stream;
  throw new CCAPIError('ccErrServerUnavailable', `${uri.text} ended${withCode(outcome)}${what(outcome)}`);
}

/**
 * Runs `ccapi connect` on another host through OpenSSH, or what `rsh` names in its place; no shell on this side sees any
 * of it. Throws 223, which tells a login that failed from a ccapi that is not there and from one that refuses.
 */
export async function openSSH(
  uri: ServerURI & { scheme: 'ssh' },
  rsh: readonly [string, ...string[]],
  env: NodeJS.ProcessEnv,
  deadline = FIRST_ANSWER,
): Promise<ByteStream> {
  const marker = `ccapi-${process.pid}-${process.hrtime.bigint().toString(36)}\n`;
  const options = ['-T', '-a', '-x', '-e', 'none', '-o', 'ClearAllForwardings=yes'];
  const who = [
    ...(uri.port === undefined ? [] : ['-p', `${uri.port}`]),
    ...(uri.user === undefined ? [] : ['-l', uri.user]),
  ];
  const stream = new ChildStream(
    [...rsh, ...options, ...who, uri.host, remoteCommand(uri.command, marker)],
    forCommand(env),
  );
  const outcome = await readFirstAnswer(uri, stream, Buffer.from(marker), deadline);
  if (!outcome) return stream;
  const { code } = outcome;
  const why =
    code === 255
      ? `the login failed${what(outcome)}`
      : code === 127
        ? `there is no ${uri.command} over there${what(outcome)}`
        : code === undefined
          ? `${rsh[0]} could not be run${what(outcome)}`
          : `ccapi over there ended${withCode(outcome)}${what(outcome)}`;
  throw new CCAPIError('ccErrServerUnavailable', `${uri.text}: ${why}`);
}

/** Where this client goes is not where the program is to go. */
function forCommand({ CCAPI_SERVER: _, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env;
}

/** The marker says where the banners of the far login shell end, whichever shell that is. */
function remoteCommand(command: string, marker: string): string {
  const quoted = `'${command.replaceAll("'", `'"'"'`)}'`;
  return `exec /bin/sh -c 'echo ${marker.trim()}; exec "$0" connect' ${quoted}`;
}

/**
 * Waits, behind the marker, for the answer to a request: until then nothing says that it is a server. Resolves to how the
 * program ended where it did first.
 */
async function readFirstAnswer(
  uri: ServerURI,
  stream: ChildStream,
  marker: Buffer | undefined,
  deadline: number,
): Promise<ChildExit | undefined> {
  const fail = (why: string) => stream.destroy(new CCAPIError('ccErrServerUnavailable', `${uri.text}: ${why}`));
  const timer = setTimeout(fail, deadline, `no answer within ${deadline / 1000} s`);
  // That a program does not read any more is no news; how it ended is.
  const failed = new Promise<never>((_, reject) =>
    stream.once('error', (error) => error instanceof CCAPIError && reject(error)),
  );
  const answered = (async () => {
    if (marker) await readUntil(stream, upTo(marker));
    stream.write(requestFrame('contextSync', uninitialised, {}));
    await readUntil(stream, upToFirstFrame(fail));
  })();
  try {
    return await Promise.race([failed, answered.then(() => undefined), stream.ended]);
  } finally {
    clearTimeout(timer);
  }
}

/** Gives what the stream brings to `take` until that returns what is behind the end; the stream begins with this then. */
function readUntil(stream: ByteStream, take: (chunk: Buffer) => Buffer | undefined): Promise<void> {
  return new Promise((resolve) => {
    const look = (chunk: Buffer) => {
      const rest = take(chunk);
      if (!rest) return;
      stream.off('data', look).pause();
      if (rest.length > 0) stream.unshift(rest);
      resolve();
    };
    stream.on('data', look).resume();
  });
}

/** What is behind the marker; banners before it are dropped. */
function upTo(marker: Buffer): (chunk: Buffer) => Buffer | undefined {
  let seen = Buffer.alloc(0);
  return (chunk) => {
    seen = Buffer.concat([seen, chunk]);
    const at = seen.indexOf(marker);
    if (at >= 0) return seen.subarray(at + marker.length);
    seen = seen.subarray(-marker.length);
    return undefined;
  };
}

function upToFirstFrame(fail: (why: string) => void): (chunk: Buffer) => Buffer | undefined {
  const reader = new FrameReader();
  return (chunk) => {
    const isWhole = reader.push(chunk).length > 0;
    if (reader.error) fail('what answered is no credential-cache server');
    return isWhole ? Buffer.alloc(0) : undefined;
  };
}

function withCode({ code }: ChildExit): string {
  return code === undefined ? '' : ` with ${code}`;
}

/** What the program said, as one line. */
function what({ said }: ChildExit): string {
  const lines = said.split(/\s*[\r\n]+\s*/).filter((line) => line !== '');
  return lines.length === 0 ? '' : `: ${lines.join(' | ')}`;
}
