// A session of MIT's own client and server, and requests that must fail, against the server's own side.
import { describe, expect, it } from 'vitest';
import { readReply, requestFrame } from '../../../proto/ccapi-codec.ts';
import { type Identifier, uninitialised } from '../../../proto/identifier.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Iterators } from '../../../server/model/iterators.ts';
import { CCAPISession } from '../../../server/protocols/ccapi-session.ts';
import mustFail from '../../proto/vectors/ccapi-must-fail.json' with { type: 'json' };
import session from '../../proto/vectors/ccapi-session.json' with { type: 'json' };
import { collectionAt, credentialFor, numberedIdentifiers } from '../model/model.ts';

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
  const frame = connection.answer(typeof request === 'string' ? Buffer.from(request, 'hex') : request) as Buffer;
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

describe.each([
  ['contextNewCCacheIterator', 'ccacheIterator', 205],
  ['ccacheNewCredentialsIterator', 'credentialsIterator', 209],
] as const)('iterators of %s', (make, kind, unknown) => {
  const begin = () => {
    const { collection } = collectionAt(1_700_000_000);
    const iterators = new Iterators(collection);
    const [one, other] = [1, 2].map(() => new CCAPISession(collection, iterators, silent)) as [
      CCAPISession,
      CCAPISession,
    ];
    const ccache = collection.create('first', 2, 'alice@R');
    collection.store(ccache, credentialFor('a@R'));
    const object = make === 'contextNewCCacheIterator' ? uninitialised : ccache.identifier;
    const open = (on: CCAPISession) => {
      const reply = ask(on, requestFrame(make, object, {}).subarray(4));
      return readReply(make, Buffer.from(reply, 'hex')).iterator;
    };
    const use = (on: CCAPISession, what: 'Next' | 'Clone' | 'Release', iterator: Identifier) =>
      Number.parseInt(ask(on, requestFrame(`${kind}${what}`, iterator, {}).subarray(4)).slice(0, 8), 16);
    return { one, other, iterators, open, use };
  };

  it('go when they are released, by whichever connection, and with the connection that made them', () => {
    const { one, other, iterators, open, use } = begin();
    const [first, second, third] = [open(one), open(one), open(other)];
    const held = () => [iterators.size, one.owned.size, other.owned.size];
    expect(held()).toEqual([3, 2, 1]);
    expect(use(other, 'Release', first)).toBe(0);
    expect(held()).toEqual([2, 1, 1]);
    for (const what of ['Next', 'Clone', 'Release'] as const) expect(use(one, what, first)).toBe(unknown);
    // A copy belongs to the connection that asked for it.
    expect(use(other, 'Clone', second)).toBe(0);
    expect(held()).toEqual([3, 1, 2]);
    one.close();
    expect(held()).toEqual([2, 0, 2]);
    expect([use(other, 'Next', second), use(other, 'Next', third)]).toEqual([unknown, 0]);
    other.close();
    expect(held()).toEqual([0, 0, 0]);
  });
});
