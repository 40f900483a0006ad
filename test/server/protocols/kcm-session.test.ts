// What KCM's clients rely on, operation by operation (proto/KCM.md), and what the CCAPI sees of it.
import fc from 'fast-check';
import { beforeEach, describe, expect, it } from 'vitest';
import { CCAPIError } from '../../../proto/errors.ts';
import { type Data, type Field, type Layout, readFields } from '../../../proto/fields.ts';
import { matchFlags, type OperationName, type OperationReply, operations, VERSION } from '../../../proto/kcm.ts';
import {
  fromCredentialV5,
  type Krb5Credential,
  marshalled,
  toCredentialV5,
  unmarshalled,
} from '../../../proto/krb5-credential.ts';
import { type Principal, parsePrincipal, writePrincipal } from '../../../proto/principal.ts';
import { Reader } from '../../../proto/reader.ts';
import { Writer } from '../../../proto/writer.ts';
import type { CCache } from '../../../server/model/ccache.ts';
import { hostClock } from '../../../server/model/change-time.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { KCMNames } from '../../../server/protocols/kcm-names.ts';
import { KCMSession } from '../../../server/protocols/kcm-session.ts';
import { krb5Credential } from '../../proto/arbitrary.ts';
import { credentialFor } from '../model/model.ts';

const UID = 1000;
let collection: Collection;
let session: KCMSession;
let errors: string[];

beforeEach(() => {
  errors = [];
  collection = new Collection(new Identifiers(), hostClock);
  const log = { info() {}, warning() {}, refusal() {}, error: (line: string) => void errors.push(line) };
  session = new KCMSession({ collection, names: new KCMNames(collection, UID) }, log);
});

const codes = {
  NOFILE: -1765328189,
  NOTFOUND: -1765328243,
  END: -1765328242,
  INTERNAL: -1765328188,
  FORMAT: -1765328185,
  NOSUPP: -1765328137,
};

/** Sends bytes behind the version and returns the inner status and what follows it. */
function send(opcode: number, args: Buffer): { code: number; reader: Reader } {
  const frame = new Writer().u16(VERSION).u16(opcode).bytes(args).finish();
  const reply = session.answer(frame);
  const reader = new Reader(reply);
  expect([reader.u32(), reader.u32()]).toEqual([reply.length - 8, 0]);
  return { code: reader.i32(), reader };
}

/** What a request's arguments are, with `matching` as bytes, since only clients write it. */
function ask<Name extends OperationName>(name: Name, request: Record<string, unknown>): Answered<Name> {
  const writer = new Writer();
  const layout: Record<string, Field<unknown>> = operations[name].request;
  for (const field in layout) {
    if (field === 'matching') writer.bytes(request[field] as Buffer);
    else layout[field]?.write(writer, inBytes(request[field], field));
  }
  const { code, reader } = send(operations[name].number, writer.finish());
  if (code !== 0) throw new CCAPIError(code);
  const reply = readFields(reader, operations[name].reply as Layout) as Record<string, unknown>;
  if (reply.credential) reply.credential = unmarshalled(reply.credential as Buffer);
  if (reply.credentials) reply.credentials = (reply.credentials as Buffer[]).map(unmarshalled);
  return reply as Answered<Name>;
}

/** A reply, with its credentials in their parts. */
type Answered<Name extends OperationName> = {
  [Field in keyof OperationReply<Name>]: Field extends 'credential'
    ? Krb5Credential
    : Field extends 'credentials'
      ? Krb5Credential[]
      : OperationReply<Name>[Field];
};

function inBytes(value: unknown, field: string): unknown {
  if (field === 'credential') return marshalled(value as Krb5Credential);
  return field === 'credentials' ? (value as Krb5Credential[]).map(marshalled) : value;
}

const failing = (code: number) => expect.objectContaining({ code });
const alice = parsePrincipal('alice@R');
const ticket = (server: string, more: Partial<Krb5Credential> = {}): Krb5Credential => ({
  ...fromCredentialV5(credentialFor(server)),
  ...more,
});

/** The fields of a matching credential (proto/KCM.md#matching-credentials). */
interface Wanted extends Partial<Record<(typeof comparedNumbers)[number], number>> {
  client?: Principal;
  server?: Principal;
  enctype?: number;
  isSkey?: number;
  ticketFlags?: number;
  authdata?: Data[];
  secondTicket?: Buffer;
  /** Further fields, which are never compared. */
  more?: boolean;
}

const comparedNumbers = ['authtime', 'starttime', 'endtime', 'renewTill'] as const;

function matching(wanted: Wanted): Buffer {
  const { client, server, enctype, isSkey = 0, ticketFlags = 0, authdata, secondTicket, more } = wanted;
  const parts = { client: 1, server: 2, enctype: 4, more: 0x48, authdata: 32, secondTicket: 16 } as const;
  const isThere = (name: string): name is keyof typeof parts => wanted[name as keyof Wanted] !== undefined;
  const writer = new Writer().u32(
    Object.entries(parts).reduce((header, [name, bit]) => header | (isThere(name) ? bit : 0), 0),
  );
  for (const principal of [client, server]) if (principal) writePrincipal(writer, principal);
  if (enctype !== undefined) writer.u16(enctype).u32(3).bytes(Buffer.from('key'));
  for (const name of comparedNumbers) writer.u32(wanted[name] ?? 0);
  writer.u8(isSkey).u32(ticketFlags);
  if (more) writer.u32(1).u16(2).u32(4).bytes(Buffer.from('host'));
  if (authdata) {
    writer.u32(authdata.length);
    for (const { type, data } of authdata) writer.u16(type).u32(data.length).bytes(data);
  }
  if (more) writer.u32(6).bytes(Buffer.from('ticket'));
  if (secondTicket) writer.u32(secondTicket.length).bytes(secondTicket);
  return writer.finish();
}

const initialize = (name: string, principal = alice) => ask('initialize', { name, principal });
const servers = (name: string) =>
  ask('getCredList', { name }).credentials.map(({ server }) => server.components.join('/'));

describe('what is not there', () => {
  it('is answered with the codes that the clients know', () => {
    for (const name of [
      'getPrincipal',
      'getKDCOffset',
      'getCredList',
      'getCredUUIDList',
      'destroy',
      'getName',
    ] as const) {
      expect(() => ask(name, { name: 'x' })).toThrow(failing(codes.NOFILE));
    }
    expect(() => ask('store', { name: 'x', credential: ticket('s@R') })).toThrow(failing(codes.NOFILE));
    expect(() => ask('moveCache', { name: 'x', to: 'y' })).toThrow(failing(codes.NOFILE));
    expect(() => ask('getCacheByUUID', { uuid: '00'.repeat(16) })).toThrow(failing(codes.END));
    initialize('x');
    expect(() => ask('getCredByUUID', { name: 'x', uuid: '00'.repeat(16) })).toThrow(failing(codes.END));
    const wanted = { name: 'x', flags: 0, matching: matching({ server: parsePrincipal('s@R') }) };
    expect(() => ask('retrieve', wanted)).toThrow(failing(codes.NOTFOUND));
    expect(() => ask('removeCred', wanted)).toThrow(failing(codes.NOTFOUND));
  });

  it('is an empty list, and the uid for the default ccache', () => {
    expect(ask('getCacheUUIDList', {}).uuids).toEqual([]);
    expect(ask('getDefaultCache', {}).name).toBe('1000');
  });

  it('is "not served" for every opcode that is none of ours', () => {
    for (const opcode of [13, 14, 15, 16, 24, 25, 26, 27, 28, 29, 13000, 13003, 65535]) {
      expect(send(opcode, Buffer.alloc(8)).code).toBe(codes.INTERNAL);
    }
  });
});

describe('wrong input', () => {
  it('is a format error, changes nothing, and the connection goes on', () => {
    initialize('x');
    const before = collection.changed;
    for (const { number, request } of Object.values(operations)) {
      if (Object.keys(request).length > 0) expect(send(number, Buffer.from('no nul')).code).toBe(codes.FORMAT);
    }
    const count = new Writer().bytes(Buffer.from('x\0')).u32(0);
    writePrincipal(count, alice);
    expect(send(13002, count.u32(0xffffffff).finish()).code).toBe(codes.FORMAT);
    expect([collection.changed, ask('getPrincipal', { name: 'x' }).principal, errors]).toEqual([before, alice, []]);
  });

  it.each(['', '02', '020000', '01000000', '02010000', 'ff00ff00'])(
    'that is not even of this version ends it: %j',
    (hex) => {
      expect(() => session.answer(Buffer.from(hex, 'hex'))).toThrow();
    },
  );

  it('of any kind is answered or ends the connection, and is never a fault of ours', () => {
    initialize('x');
    fc.assert(
      fc.property(
        fc.constantFrom(...Object.values(operations)),
        fc.uint8Array({ maxLength: 80 }),
        ({ number }, bytes) => {
          send(number, Buffer.concat([Buffer.from('x\0'), Buffer.from(bytes)]));
          expect(errors).toEqual([]);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('names', () => {
  it('lead to the same ccache with the uid before them and without, unless they are numbers', () => {
    initialize('work');
    initialize('1000:home');
    initialize('1000:2');
    expect(ask('getName', { name: '1000:work' }).name).toBe('work');
    expect(ask('getName', { name: 'home' }).name).toBe('1000:home');
    expect(() => ask('getName', { name: '2' })).toThrow(failing(codes.NOFILE));
    collection.create('7', 2, 'alice@R');
    expect(() => ask('getName', { name: '1000:7' })).toThrow(failing(codes.NOFILE));
    collection.destroy(collection.findByName('7') as CCache);
    initialize('1000:work', parsePrincipal('bob@R'));
    expect(collection.size).toBe(3);
    ask('destroy', { name: 'home' });
    expect(collection.findByName('1000:home')).toBeUndefined();
  });

  it('that are destroyed lead to no other ccache, the bare uid neither', () => {
    initialize('1000');
    initialize('work', parsePrincipal('bob@R'));
    ask('destroy', { name: '1000' });
    expect(ask('getDefaultCache', {}).name).toBe('work');
    expect(() => ask('getPrincipal', { name: '1000' })).toThrow(failing(codes.NOFILE));
    expect(() => ask('destroy', { name: '1000' })).toThrow(failing(codes.NOFILE));
  });

  it('that are new are given out once, and make nothing', () => {
    const names = new Set(Array.from({ length: 50 }, () => ask('genNew', {}).name));
    expect(names.size).toBe(50);
    for (const name of names) expect(name).toMatch(/^1000:\d+$/);
    expect(collection.size).toBe(0);
  });
});

describe('the default ccache', () => {
  it('may be chosen before it is there, and is what GET_DEFAULT_CACHE says from then on', () => {
    initialize('a');
    ask('setDefaultCache', { name: 'later' });
    expect(ask('getDefaultCache', {}).name).toBe('later');
    expect(collection.default?.name).toBe('a');
    ask('replace', { name: 'later', offset: 0, principal: alice, credentials: [] });
    expect([ask('getDefaultCache', {}).name, collection.default?.name]).toEqual(['later', 'later']);
  });

  it('is the first that is left when it is destroyed, and is moved with its ccache', () => {
    for (const name of ['a', 'b', 'c']) initialize(name);
    ask('setDefaultCache', { name: 'c' });
    ask('moveCache', { name: 'c', to: 'b' });
    expect(ask('getDefaultCache', {}).name).toBe('b');
    ask('destroy', { name: 'b' });
    expect(ask('getDefaultCache', {}).name).toBe('a');
  });

  it('stays through anything else', () => {
    initialize('a');
    initialize('b');
    ask('replace', { name: 'b', offset: 0, principal: alice, credentials: [ticket('s@R')] });
    ask('store', { name: 'b', credential: ticket('t@R') });
    expect(ask('getDefaultCache', {}).name).toBe('a');
  });
});

describe('INITIALIZE and REPLACE', () => {
  it('keep a ccache’s UUID and place, drop its credentials and set its offset', () => {
    initialize('a');
    initialize('b');
    const uuids = ask('getCacheUUIDList', {}).uuids;
    ask('store', { name: 'a', credential: ticket('s@R') });
    ask('setKDCOffset', { name: 'a', offset: -70 });
    initialize('a', parsePrincipal('bob@R'));
    expect([ask('getKDCOffset', { name: 'a' }).offset, servers('a')]).toEqual([0, []]);
    ask('replace', { name: 'a', offset: -5, principal: alice, credentials: [ticket('1@R'), ticket('2@R')] });
    expect([ask('getKDCOffset', { name: 'a' }).offset, servers('a')]).toEqual([-5, ['1', '2']]);
    expect(ask('getCacheUUIDList', {}).uuids).toEqual(uuids);
    expect(uuids.map((uuid) => ask('getCacheByUUID', { uuid }).name)).toEqual(['a', 'b']);
  });
});

describe('STORE', () => {
  it('replaces a configuration entry whatever it says, and a ticket by one for the same purpose', () => {
    initialize('a');
    const entry = (value: string) =>
      ticket('krb5_ccache_conf_data/refresh_time@X-CACHECONF:', { ticket: Buffer.from(value), endtime: 0 });
    for (const value of ['1', '2', '3']) ask('store', { name: 'a', credential: entry(value) });
    expect(ask('getCredList', { name: 'a' }).credentials.map((credential) => credential.ticket.toString())).toEqual([
      '3',
    ]);
    ask('store', { name: 'a', credential: ticket('s@R') });
    ask('store', { name: 'a', credential: ticket('s@R', { endtime: 2_100_000_000 }) });
    ask('store', { name: 'a', credential: ticket('s@R', { isSkey: 8, secondTicket: Buffer.from('tgt') }) });
    ask('store', { name: 'a', credential: ticket('s@R', { keyblock: { type: 17, data: Buffer.alloc(16) } }) });
    ask('store', { name: 'a', credential: ticket('s@Q') });
    expect(servers('a')).toEqual(['krb5_ccache_conf_data/refresh_time', 's', 's', 's', 's']);
  });
});

describe('STORE of a ticket that differs from another', () => {
  const authdata = [
    { type: 1, data: Buffer.from('one') },
    { type: 2, data: Buffer.from('two') },
  ];
  const first = { isSkey: 1, secondTicket: Buffer.from('tgt'), authdata };
  const [one, two] = authdata as [Data, Data];

  it.each<[string, Partial<Krb5Credential>, boolean]>([
    ['its times', { authtime: 5, starttime: 6, endtime: 7, renewTill: 8 }, true],
    ['its flags', { ticketFlags: 5 }, true],
    ['its ticket', { ticket: Buffer.from('renewed') }, true],
    ['its key', { keyblock: { type: 18, data: Buffer.alloc(32, 1) } }, true],
    ['its addresses', { addresses: [{ type: 2, data: Buffer.alloc(4) }] }, true],
    ['the value of isSkey', { isSkey: 8 }, true],
    ['name types', { client: { ...alice, nameType: 10 } }, true],
    ['isSkey', { isSkey: 0 }, false],
    ['the key type', { keyblock: { type: 17, data: Buffer.from('0123456789abcdef') } }, false],
    ['the second ticket', { secondTicket: Buffer.from('tgu') }, false],
    ['no second ticket', { secondTicket: Buffer.alloc(0) }, false],
    ['no authorization data', { authdata: [] }, false],
    ['less authorization data', { authdata: [one] }, false],
    ['more authorization data', { authdata: [one, two, two] }, false],
    ['other authorization data', { authdata: [one, { ...two, data: Buffer.from('owt') }] }, false],
    ['the type of authorization data', { authdata: [one, { ...two, type: 3 }] }, false],
    ['the order of authorization data', { authdata: [two, one] }, false],
    ['the client', { client: parsePrincipal('bob@R') }, false],
    ['the server’s realm', { server: parsePrincipal('s@Q') }, false],
  ])('in %s', (_, difference, isReplaced) => {
    // One beside it, and so many that they are indexed.
    for (const others of [0, 1, 20]) {
      initialize('a');
      for (let i = 0; i < others; i++) {
        ask('store', { name: 'a', credential: ticket('s@R', { client: parsePrincipal(`other${i}@R`) }) });
      }
      ask('store', { name: 'a', credential: ticket('s@R', first) });
      ask('store', { name: 'a', credential: ticket('s@R', { ...first, ...difference }) });
      expect(servers('a')).toHaveLength(others + (isReplaced ? 1 : 2));
      const last = ask('getCredList', { name: 'a' }).credentials.at(-1);
      expect(last).toEqual(ticket('s@R', { ...first, ...difference }));
    }
  });
});

describe('RETRIEVE', () => {
  const retrieve = (flags: number, wanted: Wanted) =>
    ask('retrieve', { name: 'a', flags: (flags | 1) >>> 0, matching: matching(wanted) }).credential;
  const s = parsePrincipal('s@R');

  beforeEach(() => {
    initialize('a');
    ask('store', { name: 'a', credential: ticket('s@Q') });
    ask('store', { name: 'a', credential: ticket('s@R', { isSkey: 8, secondTicket: Buffer.from('tgt') }) });
    ask('store', { name: 'a', credential: ticket('s@R') });
    ask('store', { name: 'a', credential: ticket('t@R', { authdata: [{ type: 1, data: Buffer.from('AD') }] }) });
  });

  it('returns the first that matches, and none that is user-to-user unless it is asked for', () => {
    expect(retrieve(0, { server: s })).toMatchObject({ isSkey: 0, server: { realm: 'R' } });
    expect(retrieve(matchFlags.isSkey, { server: s, isSkey: 1 }).isSkey).toBe(8);
    expect(
      retrieve(matchFlags.isSkey | matchFlags.secondTicket, { server: s, isSkey: 1, secondTicket: Buffer.from('tgt') })
        .isSkey,
    ).toBe(8);
    expect(() => retrieve(matchFlags.secondTicket, { server: s, secondTicket: Buffer.from('tgt') })).toThrow(
      failing(codes.NOTFOUND),
    );
  });

  it('looks at realms, times and authorization data as the flags say', () => {
    expect(retrieve(matchFlags.serverNameOnly, { server: s }).server.realm).toBe('Q');
    expect(retrieve(matchFlags.dontMatchRealm, { server: s, client: parsePrincipal('alice@OTHER') }).server.realm).toBe(
      'Q',
    );
    expect(retrieve(matchFlags.times, { server: s, endtime: 2_000_000_000 }).endtime).toBe(2_000_000_000);
    expect(() => retrieve(matchFlags.times, { server: s, endtime: 2_000_000_001 })).toThrow(failing(codes.NOTFOUND));
    expect(retrieve(0, { server: parsePrincipal('t@R') }).authdata).toHaveLength(1);
    expect(() => retrieve(matchFlags.authdata, { server: parsePrincipal('t@R') })).toThrow(failing(codes.NOTFOUND));
  });

  const times = { authtime: 11, starttime: 12, endtime: 2_000_000_000, renewTill: 2_000_000_500 };
  const ad = (type: number, text: string): Data => ({ type, data: Buffer.from(text) });
  const flagsOf = (...names: (keyof typeof matchFlags)[]) => names.reduce((flags, name) => flags | matchFlags[name], 0);

  it.each<[keyof typeof matchFlags, Wanted, boolean]>([
    ['flags', { ticketFlags: 0x80a0_0000 }, true],
    ['flags', { ticketFlags: 0x8000_0000 }, true],
    ['flags', { ticketFlags: 0 }, true],
    ['flags', { ticketFlags: 0x80b0_0000 }, false],
    ['flags', { ticketFlags: 0x0010_0000 }, false],
    ['flagsExact', { ticketFlags: 0x80a0_0000 }, true],
    ['flagsExact', { ticketFlags: 0x8000_0000 }, false],
    ['flagsExact', { ticketFlags: 0x80b0_0000 }, false],
    ['timesExact', times, true],
    ...Object.keys(times).map((name): [keyof typeof matchFlags, Wanted, boolean] => [
      'timesExact',
      { ...times, [name]: times[name as keyof typeof times] - 1 },
      false,
    ]),
    ['times', { endtime: times.endtime, renewTill: times.renewTill }, true],
    ['times', { endtime: times.endtime - 1, renewTill: times.renewTill - 1 }, true],
    ['times', { authtime: 99, starttime: 99 }, true],
    ['times', { endtime: times.endtime + 1 }, false],
    ['times', { renewTill: times.renewTill + 1 }, false],
    ['keytype', { enctype: 18 }, true],
    ['keytype', { enctype: 17 }, false],
    ['keytype', {}, false],
    ['authdata', { authdata: [ad(1, 'one'), ad(2, 'two')] }, true],
    ['authdata', { authdata: [ad(1, 'one')] }, false],
    ['authdata', { authdata: [ad(1, 'one'), ad(2, 'two'), ad(2, 'two')] }, false],
    ['authdata', { authdata: [ad(1, 'one'), ad(3, 'two')] }, false],
    ['authdata', { authdata: [ad(1, 'one'), ad(2, 'owt')] }, false],
    ['authdata', { authdata: [ad(2, 'two'), ad(1, 'one')] }, false],
    ['secondTicket', { secondTicket: Buffer.alloc(0) }, true],
    ['secondTicket', { secondTicket: Buffer.from('x') }, false],
    ['isSkey', {}, true],
    ['isSkey', { isSkey: 1 }, false],
  ])('compares by %s with %j: %s', (flag, wanted, isFound) => {
    const rich = parsePrincipal('rich@R');
    const authdata = [ad(1, 'one'), ad(2, 'two')];
    ask('store', { name: 'a', credential: ticket('rich@R', { ...times, ticketFlags: 0x80a0_0000, authdata }) });
    for (const more of [undefined, true]) {
      const found = () => retrieve(matchFlags[flag], { server: rich, ...wanted, ...(more ? { more } : {}) });
      if (isFound) expect(found().server).toEqual(rich);
      else expect(found).toThrow(failing(codes.NOTFOUND));
    }
    // Without its flag a field is not looked at, but for this one.
    const other = { ...wanted, isSkey: flag === 'isSkey' ? 1 : 0 };
    expect(retrieve(0, { server: rich, ...other }).server).toEqual(rich);
  });

  it('without a server finds those of the client, and without a client all', () => {
    const bob = parsePrincipal('bob@R');
    ask('store', { name: 'a', credential: ticket('bobs@R', { client: bob }) });
    expect(retrieve(0, { client: bob }).server.components).toEqual(['bobs']);
    expect(retrieve(0, { client: alice }).server.realm).toBe('Q');
    expect(retrieve(0, {}).server.realm).toBe('Q');
    expect(retrieve(matchFlags.dontMatchRealm, { client: parsePrincipal('bob@OTHER') }).client).toEqual(bob);
    expect(() => retrieve(0, { client: parsePrincipal('bob@OTHER') })).toThrow(failing(codes.NOTFOUND));
    ask('removeCred', { name: 'a', flags: 1, matching: matching({ client: alice }) });
    ask('removeCred', { name: 'a', flags: 1, matching: matching({}) });
    // That one is user-to-user.
    expect(ask('getCredList', { name: 'a' }).credentials.map(({ isSkey }) => isSkey)).toEqual([8]);
  });

  it('compares by all flags of a request', () => {
    const rich = { ...times, ticketFlags: 5, secondTicket: Buffer.from('tgt'), isSkey: 1 };
    ask('store', { name: 'a', credential: ticket('rich@R', rich) });
    const all = flagsOf('flagsExact', 'timesExact', 'keytype', 'secondTicket', 'isSkey', 'authdata');
    const wanted = { server: parsePrincipal('rich@R'), ...rich, enctype: 18, authdata: [] };
    expect(retrieve(all, wanted).isSkey).toBe(1);
    for (const wrong of [{ ticketFlags: 4 }, { starttime: 1 }, { enctype: 17 }, { secondTicket: Buffer.from('x') }]) {
      expect(() => retrieve(all, { ...wanted, ...wrong })).toThrow(failing(codes.NOTFOUND));
    }
  });

  it('is not served while the clocks are apart, so that the client asks by how much', () => {
    ask('setKDCOffset', { name: 'a', offset: -60 });
    expect(() => retrieve(0, { server: s })).toThrow(failing(codes.NOSUPP));
    ask('setKDCOffset', { name: 'a', offset: 59 });
    expect(retrieve(0, { server: s }).isSkey).toBe(0);
  });

  it('has its like in REMOVE_CRED, which removes all that match', () => {
    ask('removeCred', { name: 'a', flags: matchFlags.serverNameOnly, matching: matching({ server: s }) });
    expect(servers('a')).toEqual(['s', 't']);
    expect(() => ask('removeCred', { name: 'a', flags: 0, matching: matching({ server: s }) })).toThrow(
      failing(codes.NOTFOUND),
    );
  });
});

describe('GET_CRED_LIST', () => {
  it('is not served above what MIT’s client can read; one by one all can be had', () => {
    const large = ['1', '2', '3'].map((name) => ticket(`${name}@R`, { ticket: Buffer.alloc(4 << 20) }));
    ask('replace', { name: 'a', offset: 0, principal: alice, credentials: large });
    expect(() => ask('getCredList', { name: 'a' })).toThrow(failing(codes.NOSUPP));
    const { uuids } = ask('getCredUUIDList', { name: 'a' });
    expect(uuids.map((uuid) => ask('getCredByUUID', { name: 'a', uuid }).credential.ticket.length)).toEqual([
      4 << 20,
      4 << 20,
      4 << 20,
    ]);
  });
});

describe('between the faces', () => {
  it('nothing of a credential is lost, whichever way it goes', () => {
    fc.assert(
      fc.property(krb5Credential, (credential) => {
        ask('replace', { name: 'a', offset: 0, principal: credential.client, credentials: [credential] });
        const [stored] = collection.findByName('a')?.contents.credentials ?? [];
        expect(stored?.value).toEqual(toCredentialV5(credential));
        expect(ask('getCredList', { name: 'a' }).credentials).toEqual([credential]);
        expect(ask('getPrincipal', { name: 'a' }).principal).toEqual(credential.client);
        ask('initialize', { name: 'b', principal: credential.client });
        collection.store(collection.findByName('b') as CCache, toCredentialV5(credential));
        for (let time = 0; time < 2; time++)
          expect(ask('getCredList', { name: 'b' }).credentials).toEqual([credential]);
      }),
    );
  });

  it('what KCM brought is overwritten when it goes, whichever way', () => {
    initialize('a');
    for (const service of ['s@R', 't@R']) ask('store', { name: 'a', credential: ticket(service) });
    const [one, other] = [...(collection.findByName('a') as CCache).contents.credentials];
    expect(one?.marshalled?.some((byte) => byte !== 0)).toBe(true);
    ask('removeCred', { name: 'a', flags: 0, matching: matching({ server: parsePrincipal('s@R') }) });
    ask('destroy', { name: 'a' });
    for (const gone of [one, other]) expect(gone?.marshalled?.every((byte) => byte === 0)).toBe(true);
  });

  it('a principal that the CCAPI brought has the name type that its text implies', () => {
    for (const [name, principal, nameType] of [
      ['person', 'alice@R', 1],
      ['host', 'host/x@R', 1],
      ['tgs', 'krbtgt/R@R', 2],
      ['anonymous', 'WELLKNOWN/ANONYMOUS@R', 11],
    ] as const) {
      collection.create(name, 2, principal);
      expect([principal, ask('getPrincipal', { name }).principal.nameType]).toEqual([principal, nameType]);
    }
  });

  it('what only the CCAPI can make something of stays there, and KCM passes it over', () => {
    const odd = collection.create('odd', 2, 'no realm');
    collection.store(odd, credentialFor('no realm either'));
    collection.create('empty', 2, '');
    initialize('a');
    expect(ask('getCacheUUIDList', {}).uuids).toHaveLength(1);
    for (const name of ['odd', 'empty']) expect(() => ask('getPrincipal', { name })).toThrow(failing(codes.NOFILE));
    expect(ask('getCredList', { name: 'odd' }).credentials).toEqual([]);
    expect([...odd.contents.credentials][0]?.value.server).toBe('no realm either');
    expect(errors).toEqual([]);
  });
});
