// Each error in the tables of proto/CCAPI.md and KCM.md is provoked on the server's own sessions.
import { setImmediate as nextTurn } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { type MessageName, messages, type Request } from '../../../proto/ccapi.ts';
import { readReply, requestFrame } from '../../../proto/ccapi-codec.ts';
import { errorCodes } from '../../../proto/errors.ts';
import { type Identifier, uninitialised } from '../../../proto/identifier.ts';
import { type OperationName, operations, VERSION } from '../../../proto/kcm.ts';
import { Writer } from '../../../proto/writer.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { Iterators } from '../../../server/model/iterators.ts';
import { CCAPISession } from '../../../server/protocols/ccapi-session.ts';
import { KCMNames } from '../../../server/protocols/kcm-names.ts';
import { KCMSession } from '../../../server/protocols/kcm-session.ts';
import { constantOf, Specification } from '../../proto/markdown.ts';
import { credentialFor } from '../model/model.ts';

const silent = { info() {}, warning() {}, error() {}, refusal() {} };
const ccapi = new Specification('CCAPI.md');
const kcm = new Specification('KCM.md');

/** A reply, or the wait for it. */
type Answer = Buffer | Promise<Buffer>;

/** A server with a ccache `work`, and two connections to it. */
class Server {
  readonly collection = new Collection(new Identifiers(), () => 1_700_000_000);
  readonly #iterators = new Iterators(this.collection);
  readonly one = this.#connect();
  readonly other = this.#connect();
  readonly work = this.collection.create('work', 2, 'alice@R');

  #connect(): CCAPISession {
    return new CCAPISession(this.collection, this.#iterators, silent);
  }

  ask<Name extends MessageName>(name: Name, object: Identifier, request: Request<Name>, on = this.one): Answer {
    return this.send(requestFrame(name, object, request).subarray(4), on);
  }

  send(payload: Buffer, on = this.one): Answer {
    return on.answer(Buffer.from(payload));
  }

  /** An iterator over ccaches, or over the credentials of `work`. */
  iterator(name: 'contextNewCCacheIterator' | 'ccacheNewCredentialsIterator'): Identifier {
    const object = name === 'contextNewCCacheIterator' ? uninitialised : this.work.identifier;
    return readReply(name, (this.ask(name, object, {}) as Buffer).subarray(4)).iterator;
  }

  /** As many iterators as one connection may have; the last one. */
  iterators(name: 'contextNewCCacheIterator' | 'ccacheNewCredentialsIterator'): Identifier {
    for (let count = 1; count < 10_000; count++) this.iterator(name);
    return this.iterator(name);
  }
}

const codeOf = (answer: Answer) => (answer as Buffer).readInt32BE(4);
const tooLong = 'x'.repeat(65_537);
const none = { server: '', object: '' };

/** How each error of CCAPI.md comes about. */
const provocations: Record<string, (server: Server) => Answer> = {
  'contextWaitForChange late 204': (server) =>
    late(server.ask('contextWaitForChange', uninitialised, { last: 0xffff_ffff }), () => server.collection.shutDown()),
  'contextOpenCCache 221': (server) => server.ask('contextOpenCCache', uninitialised, { name: 'play' }),
  'contextOpenDefaultCCache 221': (server) => {
    server.collection.destroy(server.work);
    return server.ask('contextOpenDefaultCCache', uninitialised, {});
  },
  'contextCreateCCache 202': (server) => createNamed(server, { principal: tooLong }),
  'contextCreateCCache 203': (server) => createNamed(full(server), {}),
  'contextCreateCCache 211': (server) => createNamed(server, { name: tooLong }),
  'contextCreateCCache 212': (server) => createNamed(server, { version: 3 }),
  'contextCreateDefaultCCache 202': (server) =>
    server.ask('contextCreateDefaultCCache', uninitialised, { version: 2, principal: tooLong }),
  'contextCreateDefaultCCache 203': (server) => {
    server.collection.destroy(server.work);
    return full(server).ask('contextCreateDefaultCCache', uninitialised, { version: 2, principal: 'alice@R' });
  },
  'contextCreateDefaultCCache 212': (server) =>
    server.ask('contextCreateDefaultCCache', uninitialised, { version: 1, principal: 'alice@R' }),
  'contextCreateNewCCache 202': (server) =>
    server.ask('contextCreateNewCCache', uninitialised, { version: 2, principal: tooLong }),
  'contextCreateNewCCache 203': (server) =>
    full(server).ask('contextCreateNewCCache', uninitialised, { version: 2, principal: 'alice@R' }),
  'contextCreateNewCCache 212': (server) =>
    server.ask('contextCreateNewCCache', uninitialised, { version: 1, principal: 'alice@R' }),
  'contextNewCCacheIterator 203': (server) => {
    server.iterators('contextNewCCacheIterator');
    return server.ask('contextNewCCacheIterator', uninitialised, {});
  },
  'contextLock 214': (server) => {
    server.ask('contextLock', uninitialised, { type: 1, block: 0 }, server.other);
    return server.ask('contextLock', uninitialised, { type: 0, block: 0 });
  },
  'contextLock 218': (server) => server.ask('contextLock', uninitialised, { type: 2, block: 1 }),
  'contextLock late 204': (server) => {
    server.ask('contextLock', uninitialised, { type: 1, block: 0 }, server.other);
    return late(server.ask('contextLock', uninitialised, { type: 0, block: 1 }), () => server.collection.shutDown());
  },
  'contextUnlock 215': (server) => server.ask('contextUnlock', uninitialised, {}),
  'ccacheGetPrincipal 212': (server) => server.ask('ccacheGetPrincipal', server.work.identifier, { version: 3 }),
  'ccacheSetPrincipal 202': (server) =>
    server.ask('ccacheSetPrincipal', server.work.identifier, { version: 2, principal: tooLong }),
  'ccacheSetPrincipal 212': (server) =>
    server.ask('ccacheSetPrincipal', server.work.identifier, { version: 3, principal: 'alice@R' }),
  'ccacheStoreCredentials 202': (server) =>
    server.ask('ccacheStoreCredentials', server.work.identifier, { credentials: credentialFor(tooLong) }),
  'ccacheStoreCredentials 203': (server) =>
    full(server).ask('ccacheStoreCredentials', server.work.identifier, { credentials: credentialFor('host/a@R') }),
  'ccacheStoreCredentials 212': (server) => {
    const frame = requestFrame('ccacheStoreCredentials', server.work.identifier, { credentials: credentialFor('a@R') });
    // Behind the length word, the number, and an identifier of our own.
    frame.writeUInt32BE(1, 4 + 4 + 82);
    return server.send(frame.subarray(4));
  },
  'ccacheRemoveCredentials 207': (server) =>
    server.ask('ccacheRemoveCredentials', server.work.identifier, { credentials: none }),
  'ccacheNewCredentialsIterator 203': (server) => {
    server.iterators('ccacheNewCredentialsIterator');
    return server.ask('ccacheNewCredentialsIterator', server.work.identifier, {});
  },
  'ccacheMove 202': (server) => server.ask('ccacheMove', server.work.identifier, { source: server.work.identifier }),
  'ccacheMove 205': (server) => server.ask('ccacheMove', server.work.identifier, { source: none }),
  'ccacheLock 216': (server) => {
    server.ask('ccacheLock', server.work.identifier, { type: 1, block: 0 }, server.other);
    return server.ask('ccacheLock', server.work.identifier, { type: 0, block: 0 });
  },
  'ccacheLock 218': (server) => server.ask('ccacheLock', server.work.identifier, { type: 3, block: 1 }),
  'ccacheLock late 205': (server) => {
    server.ask('ccacheLock', server.work.identifier, { type: 1, block: 0 }, server.other);
    return late(server.ask('ccacheLock', server.work.identifier, { type: 0, block: 1 }), () =>
      server.ask('ccacheDestroy', server.work.identifier, {}, server.other),
    );
  },
  'ccacheUnlock 217': (server) => server.ask('ccacheUnlock', server.work.identifier, {}),
  'ccacheGetLastDefaultTime 219': (server) => {
    const { identifier } = server.collection.create('play', 2, 'alice@R');
    return server.ask('ccacheGetLastDefaultTime', identifier, {});
  },
  'ccacheWaitForChange late 205': (server) =>
    late(server.ask('ccacheWaitForChange', server.work.identifier, { last: 0xffff_ffff }), () =>
      server.collection.shutDown(),
    ),
  'ccacheGetKDCTimeOffset 212': (server) => withVersion1(server, 'ccacheGetKDCTimeOffset'),
  'ccacheGetKDCTimeOffset 226': (server) =>
    server.ask('ccacheGetKDCTimeOffset', server.work.identifier, { version: 2 }),
  'ccacheSetKDCTimeOffset 212': (server) => withVersion1(server, 'ccacheSetKDCTimeOffset'),
  'ccacheClearKDCTimeOffset 212': (server) => withVersion1(server, 'ccacheClearKDCTimeOffset'),
  'ccacheIteratorNext 201': (server) => {
    const iterator = server.iterator('contextNewCCacheIterator');
    expect(codeOf(server.ask('ccacheIteratorNext', iterator, {}))).toBe(0);
    return server.ask('ccacheIteratorNext', iterator, {});
  },
  'ccacheIteratorClone 203': (server) =>
    server.ask('ccacheIteratorClone', server.iterators('contextNewCCacheIterator'), {}),
  'credentialsIteratorNext 201': (server) =>
    server.ask('credentialsIteratorNext', server.iterator('ccacheNewCredentialsIterator'), {}),
  'credentialsIteratorClone 203': (server) =>
    server.ask('credentialsIteratorClone', server.iterators('ccacheNewCredentialsIterator'), {}),
};

function createNamed(server: Server, request: Partial<Request<'contextCreateCCache'>>): Answer {
  return server.ask('contextCreateCCache', uninitialised, {
    name: 'play',
    version: 2,
    principal: 'alice@R',
    ...request,
  });
}

/** A server that holds all it may. */
function full(server: Server): Server {
  server.collection.limits.most = { ...server.collection.limits.held };
  return server;
}

/** A request of version 1, which our own writer refuses; the message's number, the ccache, and the version alone. */
function withVersion1(server: Server, name: MessageName): Answer {
  const frame = requestFrame('ccacheGetPrincipal', server.work.identifier, { version: 1 });
  return server.send(frame.fill(0, 4, 8).fill(messages[name].number, 7, 8).subarray(4));
}

/** What a request that waits until then is answered when something happens. */
async function late(answer: Answer, act: () => unknown): Promise<Buffer> {
  expect(await Promise.race([answer, nextTurn('it waits')])).toBe('it waits');
  act();
  return answer;
}

describe('CCAPI.md', () => {
  const rows = ccapi.table('number', 'name', 'object', 'request', 'reply', 'errors');
  const specified = rows.flatMap(({ name, errors = '' }) =>
    errors
      .split(', ')
      .filter(Boolean)
      .map((error) => `${name} ${error}`),
  );

  it('has the errors that are provoked here, and no other', () => {
    expect(specified).toEqual(Object.keys(provocations));
  });

  it.each(specified)('%s', async (error) => {
    const code = Number(/\d+$/.exec(error)?.[0]);
    const answer = provocations[error]?.(new Server()) as Answer;
    expect(answer instanceof Promise).toBe(error.includes(' late '));
    expect(codeOf(await answer)).toBe(code);
  });

  it.each(ccapi.table('object', 'the header names', 'foreign', 'unknown'))('$object: $foreign, $unknown', (row) => {
    const server = new Server();
    const [name] = Object.entries(messages).find(
      ([name, { object }]) => object === row.object && /Get.*Time|Next/.test(name),
    ) as [MessageName, unknown];
    const ask = (identifier: Identifier) => codeOf(server.ask(name, identifier, {} as never));
    expect(ask({ server: 'another', object: 'object' })).toBe(Number(row.foreign));
    const unknown = ask({ server: server.collection.identifier.server, object: 'object' });
    expect(unknown).toBe(row.unknown === '–' ? 0 : Number(row.unknown));
  });

  it.each(ccapi.table('request', 'error', 'why'))('$why: $error', ({ request, error }) => {
    expect(codeOf(new Server().send(Buffer.from(request as string, 'hex')))).toBe(Number(error));
  });
});

/** What KCM's operations are asked with. */
const example = {
  credential: Buffer.from(new Specification('FILE-CCACHE.md').example('credential').hex, 'hex'),
  matching: Buffer.from(kcm.example('matching').hex, 'hex'),
  principal: Buffer.from('000000010000000100000001520000000161', 'hex'),
};

function named(name: string, ...rest: Buffer[]): Buffer {
  return Buffer.concat([Buffer.from(`${name}\0`), ...rest]);
}

/** A server with a ccache `work` of KCM's. */
class KCMServer {
  readonly collection = new Collection(new Identifiers(), () => 1_700_000_000);
  readonly #session = new KCMSession(
    { collection: this.collection, names: new KCMNames(this.collection, 1000) },
    silent,
  );

  constructor() {
    this.ask('initialize', named('work', example.principal));
  }

  /** The inner status. */
  ask(name: OperationName, fields: Buffer): number {
    const request = new Writer().u16(VERSION).u16(operations[name].number).bytes(fields).finish();
    const reply = this.#session.answer(request);
    expect(reply.readInt32BE(4)).toBe(0);
    return reply.readInt32BE(8);
  }
}

const word = (value: number) => new Writer().u32(value).finish();
const noUUID = Buffer.alloc(16);

/** The fields of an operation on a ccache of a name, with the rest as it is right. */
function fieldsFor(operation: OperationName, name: string): Buffer {
  const rest: Partial<Record<OperationName, Buffer[]>> = {
    initialize: [example.principal],
    store: [example.credential],
    retrieve: [word(0), example.matching],
    removeCred: [word(0), example.matching],
    getCredByUUID: [noUUID],
    setFlags: [word(0)],
    moveCache: [Buffer.from('work\0')],
    setKDCOffset: [word(0)],
    replace: [word(0), example.principal, word(0)],
  };
  return named(name, ...(rest[operation] ?? []));
}

/** How the errors come about that are not a missing ccache or a name that is too long. */
const kcmProvocations: Record<string, (server: KCMServer) => number> = {
  'retrieve KRB5_CC_NOTFOUND': (server) => server.ask('retrieve', fieldsFor('retrieve', 'work')),
  'retrieve KRB5_CC_NOSUPP': (server) => {
    server.ask('setKDCOffset', named('work', word(-60)));
    return server.ask('retrieve', fieldsFor('retrieve', 'work'));
  },
  'getCredByUUID KRB5_CC_END': (server) => server.ask('getCredByUUID', named('work', noUUID)),
  'removeCred KRB5_CC_NOTFOUND': (server) => server.ask('removeCred', fieldsFor('removeCred', 'work')),
  'moveCache KRB5_CC_BADNAME': (server) => server.ask('moveCache', named('work', named('x'.repeat(4097)))),
  'getCacheByUUID KRB5_CC_END': (server) => server.ask('getCacheByUUID', noUUID),
  'getCredList KRB5_CC_NOSUPP': (server) => {
    const work = server.collection.findByName('work');
    if (!work) throw new Error('no ccache');
    const large = credentialFor('host/large@R');
    large.ticket.data = Buffer.alloc(10_485_760);
    server.collection.store(work, large);
    return server.ask('getCredList', named('work'));
  },
};

describe('KCM.md', () => {
  const rows = kcm.table('number', 'name', 'request', 'reply', 'errors');
  const operationOf = (constant: string | undefined) =>
    Object.keys(operations).find((name) => constantOf(name) === constant) as OperationName;
  const specified = rows.flatMap(({ name, errors = '' }) =>
    errors
      .split(', ')
      .filter(Boolean)
      .map((error) => ({ operation: operationOf(name), error })),
  );

  it.each(specified)('$operation: $error', ({ operation, error }) => {
    const server = new KCMServer();
    const provoke = kcmProvocations[`${operation} ${error}`];
    const name = error === 'KRB5_CC_BADNAME' ? 'x'.repeat(4097) : 'gone';
    const status = provoke ? provoke(server) : server.ask(operation, fieldsFor(operation, name));
    expect(status).toBe(errorCodes[error as keyof typeof errorCodes].code);
  });

  it('has every way here among its errors', () => {
    const all = specified.map(({ operation, error }) => `${operation} ${error}`);
    expect(all).toEqual(expect.arrayContaining(Object.keys(kcmProvocations)));
  });

  it.each(rows.filter(({ request }) => request !== ''))('$name: KRB5_CC_FORMAT without its fields', ({ name }) => {
    expect(new KCMServer().ask(operationOf(name), Buffer.alloc(0))).toBe(errorCodes.KRB5_CC_FORMAT.code);
  });
});
