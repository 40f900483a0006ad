// The line that a launcher is asked by: how long it may be, in however many pieces it comes, and what ends the wait for it.
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { expect, it } from 'vitest';
import { ownPeer } from '../../launcher/peer.ts';
import { Refusals } from '../../launcher/refusals.ts';
import { rendezvous } from '../../launcher/rendezvous.ts';
import { afterwards, temporaryDirectory } from '../setup/cleanup.ts';

const uid = 1000;
const log = { info() {}, warning() {}, error() {}, refusal() {} };

/** What a peer is answered that sends these pieces, and then no more. */
async function answerTo(...pieces: string[]): Promise<string> {
  const server = createServer({ allowHalfOpen: true });
  const path = `${temporaryDirectory()}/socket`;
  const accepted = once(server.listen(path), 'connection');
  const peer = connect(path);
  const [socket] = (await accepted) as [Socket];
  afterwards(() => void server.close());
  const served = rendezvous({ input: socket, output: socket }, ownPeer(uid), {
    verifyUid: true,
    isPerSession: false,
    isKnown: () => true,
    report: () => ({}) as never,
    socketOf: async ({ session }) => `/path/of/${session?.length}`,
    refusals: new Refusals(log),
    log,
  });
  for (const piece of pieces) {
    const read = socket.bytesRead + piece.length;
    peer.write(piece);
    while (socket.bytesRead < read) await nextTurn();
  }
  const answer = await text(peer.end());
  await served;
  return answer;
}

/** A line of so many bytes with its newline. */
const lineOf = (length: number) => `CCAPI/1 uid=${uid} session=`.padEnd(length - 1, 'x').concat('\n');
const tooLong = /a line is at most 512 bytes long\n$/;

it.each([
  ['comes at once', [lineOf(512)]],
  ['comes in two pieces', [lineOf(512).slice(0, 400), lineOf(512).slice(400)]],
  ['comes byte by byte', [...lineOf(512)]],
])('one of 512 bytes that %s is read to its end', async (_, pieces) => {
  expect(await answerTo(...pieces)).toMatch(/^CCAPI\/1 error code=session message=expected a session name/);
});

it.each([
  ['comes at once', [lineOf(513)]],
  ['comes in two pieces', [lineOf(513).slice(0, 400), lineOf(513).slice(400)]],
  ['is far longer with its second piece', ['x'.repeat(400), `${'x'.repeat(400)}\n`]],
  ['never ends', ['x'.repeat(511), 'x']],
])('one of more bytes that %s is refused', async (_, pieces) => {
  expect(await answerTo(...pieces)).toMatch(tooLong);
});

it.each([
  ['one that ends with a carriage return', [`CCAPI/1 uid=${uid} session=abc\r\n`], 'CCAPI/1 ok path=/path/of/3\n'],
  ['one with more behind it', [`${uid}\nCCAPI/1 uid=1\n`], '/path/of/undefined\n'],
  ['one without a newline', [`${uid}`], 'error: the line has no newline\n'],
])('%s is answered', async (_, pieces, answer) => {
  const said = await answerTo(...pieces);
  expect(said.replace(/^CCAPI\/1 error code=syntax message=/, 'error: ')).toBe(answer);
});
