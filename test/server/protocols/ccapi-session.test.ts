// A session of MIT's own client and server, and requests that must fail, against the server's own side.
import { describe, expect, it } from 'vitest';
import { requestFrame } from '../../../proto/ccapi-codec.ts';
import { uninitialised } from '../../../proto/identifier.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Iterators } from '../../../server/model/iterators.ts';
import { CCAPISession } from '../../../server/protocols/ccapi-session.ts';
import mustFail from '../../proto/vectors/ccapi-must-fail.json' with { type: 'json' };
import session from '../../proto/vectors/ccapi-session.json' with { type: 'json' };
import { credentialFor, numberedIdentifiers } from '../model/model.ts';

const silent = { info() {}, warning() {}, error() {}, refusal() {} };

/** MIT's core draws identifiers for its look-ups too, which is why its last ccache has number 9. */
function server() {
  const collection = new Collection(numberedIdentifiers([1, 2, 3, 4, 9, 10, 11][Symbol.iterator]()), () => 1700000000);
  const iterators = new Iterators(collection);
  const connect = () => new CCAPISession(collection, iterators, silent);
  return { collection, iterators, connect };
}

/** The reply to a request that is answered at once, without its length word. */
function ask(connection: CCAPISession, request: Buffer | string): string {
  const replies: Buffer[] = [];
  connection.answer(typeof request === 'string' ? Buffer.from(request, 'hex') : request, (reply) =>
    replies.push(reply),
  );
  expect(replies).toHaveLength(1);
  const [frame] = replies as [Buffer];
  expect(frame.readUInt32BE(0)).toBe(frame.length - 4);
  return frame.subarray(4).toString('hex');
}

describe('the session', () => {
  const { connect, collection } = server();
  const connections = [connect(), connect()];

  it.each(session)('$name', ({ conn, request, reply }) => {
    expect(ask(connections[conn - 1] as CCAPISession, request)).toBe(reply);
    // MIT's core names a credential when it is stored, and we when its name is asked for.
    for (const { contents } of collection)
      for (const { identifier } of contents.credentials) expect(identifier).toBeDefined();
  });
});

describe('a request that must fail', () => {
  const { connect, collection } = server();
  const connection = connect();
  collection.create('first', 2, 'alice@R');

  it.each(mustFail)('$name: $error', ({ request, error }) => {
    const before = [collection.changed, collection.size];
    expect(ask(connection, request)).toBe(error.toString(16).padStart(8, '0'));
    expect([collection.changed, collection.size]).toEqual(before);
  });
});

it('answers whatever cannot be read as a request with 227, and goes on', () => {
  const connection = server().connect();
  for (const hex of ['00', '00000002', '0000000200000000', '02000014', 'ff'.repeat(100)]) {
    expect(ask(connection, hex)).toBe('000000e3');
  }
  expect(ask(connection, session[0]?.request as string)).toBe(session[0]?.reply);
});

it('answers every request that is cut anywhere with an error of the protocol', () => {
  const { connect, collection } = server();
  const connection = connect();
  collection.create('first', 2, 'alice@R');
  for (const { request } of session) {
    const whole = Buffer.from(request, 'hex');
    for (let length = 1; length < whole.length; length++) {
      expect(ask(connection, whole.subarray(0, length))).toMatch(/^000000(?!00)..$/);
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
  expect(ask(connection, requestFrame('contextOpenDefaultCCache', uninitialised, {}).subarray(4))).toBe('000000e3');
  expect(errors).toEqual([expect.stringContaining('a fault')]);
});

it('forgets the iterators of a connection with it, and the released ones at once', () => {
  const { connect, collection, iterators } = server();
  const [one, other] = [connect(), connect()];
  const ccache = collection.create('first', 2, 'alice@R');
  collection.store(ccache, credentialFor('a@R'));
  for (const on of [one, other]) ask(on, requestFrame('contextNewCCacheIterator', uninitialised, {}).subarray(4));
  expect([iterators.size, one.owned.size]).toEqual([2, 1]);
  const [object] = one.owned;
  const identifier = { server: collection.identifier.server, object: object as string };
  // Any connection may use and release what it knows.
  ask(other, requestFrame('ccacheIteratorRelease', identifier, {}).subarray(4));
  expect([iterators.size, one.owned.size]).toEqual([1, 0]);
  other.close();
  expect(iterators.size).toBe(0);
});
