// The session of the specification's appendix A.3, and the requests of A.4 that must fail, against the server's own side.
import { describe, expect, it } from 'vitest';
import { messages } from '../../proto/ccapi.ts';
import { requestFrame } from '../../proto/exchange.ts';
import { uninitialised } from '../../proto/identifier.ts';
import { CCAPISession } from '../../server/ccapi-session.ts';
import { Collection } from '../../server/collection.ts';
import { Iterators } from '../../server/iterators.ts';
import mustFail from '../proto/vectors/ccapi-must-fail.json' with { type: 'json' };
import session from '../proto/vectors/ccapi-session.json' with { type: 'json' };
import { credentialFor, numberedIdentifiers } from './model.ts';

const silent = { info() {}, warning() {}, error() {}, refusal() {} };

/** MIT's core draws identifiers for its look-ups too, which is why its last ccache has number 9. */
function server() {
  const collection = new Collection(numberedIdentifiers([1, 2, 3, 4, 9, 10, 11][Symbol.iterator]()), () => 1700000000);
  const iterators = new Iterators(collection);
  const connect = () => new CCAPISession(collection, iterators, silent);
  return { collection, iterators, connect };
}

const payload = (frame: Buffer) => {
  expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
  return frame.subarray(4).toString('hex');
};

const mayBlock = new Set(
  [messages.contextWaitForChange, messages.contextLock, messages.ccacheLock, messages.ccacheWaitForChange].map(
    ({ number }) => number,
  ),
);
const numberOf = (request: string) => Number.parseInt(request.slice(0, 8), 16);

describe('the session of appendix A.3', () => {
  const { connect } = server();
  const connections = [connect(), connect()];
  const served = session.filter(({ request }) => !mayBlock.has(numberOf(request)) && numberOf(request) !== 27);

  it.each(served)('$name', ({ conn, request, reply }) => {
    const connection = connections[conn - 1] as CCAPISession;
    expect(payload(connection.answer(Buffer.from(request, 'hex')))).toBe(reply);
  });

  it.each(session.filter(({ request }) => mayBlock.has(numberOf(request))))(
    '$name is answered 11',
    ({ conn, request }) => {
      const connection = connections[conn - 1] as CCAPISession;
      expect(payload(connection.answer(Buffer.from(request, 'hex')))).toBe('0000000b');
    },
  );
});

describe('a request that must fail', () => {
  const { connect, collection } = server();
  const connection = connect();
  collection.create('first', 2, 'alice@R');
  const blocks = mustFail.filter(({ request, error }) => mayBlock.has(numberOf(request)) && error !== 22);

  it.each(mustFail.filter((row) => !blocks.includes(row)))('$name: $error', ({ request, error }) => {
    const before = [collection.changed, collection.size];
    expect(payload(connection.answer(Buffer.from(request, 'hex')))).toBe(error.toString(16).padStart(8, '0'));
    expect([collection.changed, collection.size]).toEqual(before);
  });
});

it('answers whatever cannot be read as a request with 227, and goes on', () => {
  const connection = server().connect();
  for (const hex of ['00', '00000002', '0000000200000000', '02000014', 'ff'.repeat(100)]) {
    expect(payload(connection.answer(Buffer.from(hex, 'hex')))).toBe('000000e3');
  }
  expect(payload(connection.answer(Buffer.from(session[0]?.request as string, 'hex')))).toBe(session[0]?.reply);
});

it('answers every request that is cut anywhere with an error of the protocol', () => {
  const { connect, collection } = server();
  const connection = connect();
  collection.create('first', 2, 'alice@R');
  for (const { request } of session) {
    const whole = Buffer.from(request, 'hex');
    for (let length = 1; length < whole.length; length++) {
      const answer = connection.answer(whole.subarray(0, length));
      expect(answer.length).toBe(8);
      expect(answer.readUInt32BE(4)).toBeGreaterThan(0);
    }
  }
});

it('answers a fault of its own with an error, and keeps the connection', () => {
  const { connect, collection } = server();
  const errors: string[] = [];
  const connection = new CCAPISession(collection, connect().iterators, {
    ...silent,
    error: (line) => errors.push(line),
  });
  Object.defineProperty(collection, 'default', {
    get() {
      throw new TypeError('a fault');
    },
  });
  expect(payload(connection.answer(requestFrame('contextOpenDefaultCCache', uninitialised, {}).subarray(4)))).toBe(
    '000000e3',
  );
  expect(errors).toEqual([expect.stringContaining('a fault')]);
});

it('forgets the iterators of a connection with it, and the released ones at once', () => {
  const { connect, collection, iterators } = server();
  const [one, other] = [connect(), connect()];
  const ccache = collection.create('first', 2, 'alice@R');
  collection.store(ccache, credentialFor('a@R'));
  const ask = (on: CCAPISession) => on.answer(requestFrame('contextNewCCacheIterator', uninitialised, {}).subarray(4));
  ask(one);
  ask(other);
  expect([iterators.size, one.owned.size]).toEqual([2, 1]);
  const [object] = one.owned;
  const identifier = { server: collection.identifier.server, object: object as string };
  // Any connection may use and release what it knows.
  other.answer(requestFrame('ccacheIteratorRelease', identifier, {}).subarray(4));
  expect([iterators.size, one.owned.size]).toEqual([1, 0]);
  other.close();
  expect(iterators.size).toBe(0);
});
