// Whatever is sent to the launcher: an error line, nothing created, nothing crashed, no other client held up.
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import { temporaryDirectory } from '../setup/cleanup.ts';
import { sendBytes, startLauncher } from '../setup/programs.ts';

let base: string;
let port: number;
let log: () => string;

beforeAll(async () => {
  base = `${temporaryDirectory()}/run`;
  const launcher = await startLauncher([`--directory=${base}`]);
  port = launcher.port;
  log = launcher.stderr;
});

afterEach(() => {
  expect(existsSync(base)).toBe(false);
});

const send = (bytes: string | Buffer) => sendBytes({ host: '127.0.0.1', port }, bytes);

const tooLong = /^CCAPI\/1 error code=syntax message=a line is at most 512 bytes long/;

describe('a line that is no request', () => {
  it.each([
    ['empty', '\n', /^error: expected a uid/],
    ['over-long', `${'1'.repeat(600)}\n`, tooLong],
    ['over-long without an end', 'x'.repeat(5000), tooLong],
    ['a megabyte long', 'x'.repeat(1 << 20), tooLong],
    ['binary', Buffer.from('00ff80feff0a', 'hex'), /^error: expected a uid/],
    ['of another version', 'CCAPI/2 uid=1\n', /^CCAPI\/1 error code=version message=/],
    ['negative', '-1\n', /^error: expected a uid/],
    ['negative in full', 'CCAPI/1 uid=-1\n', /^CCAPI\/1 error code=uid message=/],
    ['above every uid', 'CCAPI/1 uid=4294967295\n', /^CCAPI\/1 error code=uid message=/],
    ['absurd', 'CCAPI/1 uid=99999999999999999999\n', /^CCAPI\/1 error code=uid message=/],
    ['a path for a uid', '../../etc\n', /^error: expected a uid/],
    ['a path for a session', 'CCAPI/1 uid=0 session=../../../etc/passwd\n', /^CCAPI\/1 error code=session message=/],
    ['a slash in a session', 'CCAPI/1 uid=0 session=a/b\n', /^CCAPI\/1 error code=session message=/],
    ['a NUL in a session', 'CCAPI/1 uid=0 session=a\0b\n', /^CCAPI\/1 error code=session message=/],
    ['a web browser', 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n', /^error: expected a uid/],
  ])('%s is answered by one that says so', async (_, bytes, expected) => {
    const answer = await send(bytes);
    expect(answer).toMatch(expected);
    expect(answer.indexOf('\n')).toBe(answer.length - 1);
  });
});

it('that ends without its newline is answered by one that says so', async () => {
  const answer = await new Promise<string>((resolve) => {
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true }, () => socket.end('1000'));
    let received = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      received += chunk;
    });
    socket.once('close', () => resolve(received));
    socket.once('end', () => socket.end());
  });
  expect(answer).toBe('CCAPI/1 error code=syntax message=the line has no newline\n');
});

it('silence is ended after 5 s, and holds up no other client meanwhile', async () => {
  let ended = 0;
  const silent = Array.from({ length: 50 }, () => send('').finally(() => ended++));
  expect(await send('CCAPI/2\n')).toContain('code=version');
  expect(ended).toBe(0);
  expect(new Set(await Promise.all(silent))).toEqual(
    new Set(['CCAPI/1 error code=timeout message=no line came within 5 s\n']),
  );
});

it('is in the log, ten lines a minute at the most, with nothing in it that a terminal would obey', async () => {
  const lines = log().trimEnd().split('\n');
  expect(lines.filter((line) => line.includes(': warning: '))).toHaveLength(10);
  for (const line of lines) expect(line).toMatch(/^ccapi-launcher: [\x20-\x7e]+$/);
});
