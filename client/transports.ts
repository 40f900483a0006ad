import type { ServerURI } from '../etc/server-uri.ts';
import { CCAPIError } from '../proto/error.ts';
import { requestFrame } from '../proto/exchange.ts';
import { FrameReader } from '../proto/frame.ts';
import { uninitialised } from '../proto/identifier.ts';
import { type ByteStream, ChildStream, type Ended } from './child-stream.ts';

/** How long a server behind a program may take for its first answer, in milliseconds; a password may be asked for. */
const FIRST_ANSWER = 120_000;

/** Runs a program that gives the byte stream of a server. Throws 223 with what it said where it does not. */
export async function openCommand(uri: ServerURI & { scheme: 'exec' }, env: NodeJS.ProcessEnv): Promise<ByteStream> {
  const stream = new ChildStream(uri.command, forCommand(env));
  const outcome = await Promise.race([answers(stream).then(() => undefined), stream.ended]);
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
  const outcome = await Promise.race([
    behind(stream, Buffer.from(marker))
      .then(() => answers(stream))
      .then(() => undefined),
    stream.ended,
  ]);
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

/** Drops what the stream brings up to and with the marker. */
function behind(stream: ByteStream, marker: Buffer): Promise<void> {
  return new Promise((resolve) => {
    let seen = Buffer.alloc(0);
    const take = (chunk: Buffer) => {
      seen = Buffer.concat([seen, chunk]);
      const at = seen.indexOf(marker);
      if (at < 0) {
        seen = seen.subarray(-marker.length);
        return;
      }
      stream.off('data', take).pause();
      const rest = seen.subarray(at + marker.length);
      if (rest.length > 0) stream.unshift(rest);
      resolve();
    };
    stream.on('data', take);
  });
}

/** Resolves once whoever is at the other end has answered a request: until then nothing says that it is a server. */
function answers(stream: ByteStream): Promise<void> {
  return new Promise((resolve, reject) => {
    const reader = new FrameReader();
    const deadline = setTimeout(() => {
      stream.destroy();
      reject(new CCAPIError('ccErrServerUnavailable', `no answer within ${FIRST_ANSWER / 1000} s`));
    }, FIRST_ANSWER);
    const take = (chunk: Buffer) => {
      const frames = reader.push(chunk);
      if (frames.length === 0 && !reader.error) return;
      stream.off('data', take).pause();
      clearTimeout(deadline);
      if (frames.length > 0) resolve();
      else {
        stream.destroy();
        reject(new CCAPIError('ccErrServerUnavailable', 'what answered is no credential-cache server'));
      }
    };
    stream
      .on('data', take)
      .on('error', () => {})
      .resume();
    stream.once('close', () => clearTimeout(deadline));
    stream.write(requestFrame('contextSync', uninitialised, {}));
  });
}

function withCode({ code }: Ended): string {
  return code === undefined ? '' : ` with ${code}`;
}

function what({ said }: Ended): string {
  return said === '' ? '' : `: ${said}`;
}
