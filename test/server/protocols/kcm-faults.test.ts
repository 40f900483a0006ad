// What a KCM session answers, logs and counts where a request cannot be served, and how long an answer may be.
import { beforeEach, expect, it } from 'vitest';
import { MAX_REPLY, type OperationName, operations, VERSION } from '../../../proto/kcm.ts';
import { fromCredentialV5, marshalled } from '../../../proto/krb5-credential.ts';
import { parsePrincipal, writePrincipal } from '../../../proto/principal.ts';
import { Writer } from '../../../proto/writer.ts';
import { hostClock } from '../../../server/model/change-time.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { KCMNames } from '../../../server/protocols/kcm-names.ts';
import { KCMSession } from '../../../server/protocols/kcm-session.ts';
import { credentialFor } from '../model/model.ts';

const WRITE = -1765328187;
const NOSUPP = -1765328137;

let collection: Collection;
let session: KCMSession;
let errors: string[];
let counted: string[];

beforeEach(() => {
  [errors, counted] = [[], []];
  collection = new Collection(new Identifiers(), hostClock);
  const names = new KCMNames(collection, 1000, (name) => {
    if (name === 'faulty') throw new Error('a fault of ours');
    return undefined;
  });
  const log = { info() {}, warning() {}, refusal() {}, error: (line: string) => void errors.push(line) };
  session = new KCMSession({ collection, names }, log, (name) => counted.push(name));
});

/** The answer to a request: its code, and its length as its length word counts. */
function send(opcode: number, args: Buffer): { code: number; length: number } {
  const answer = session.answer(new Writer().u16(VERSION).u16(opcode).bytes(args).finish());
  return { code: answer.readInt32BE(8), length: answer.length - 8 };
}

const ask = (name: OperationName, ...args: string[]) =>
  send(operations[name].number, Buffer.from(args.map((arg) => `${arg}\0`).join('')));

it('where there is no room the limit is no fault of ours, and what is one stands in the log', () => {
  Object.assign(collection.limits.most, { caches: 1 });
  const principal = new Writer();
  writePrincipal(principal, parsePrincipal('alice@R'));
  const initialize = (name: string) =>
    send(operations.initialize.number, Buffer.concat([Buffer.from(`${name}\0`), principal.finish()]));
  expect(initialize('a').code).toBe(0);
  expect(initialize('b').code).toBe(WRITE);
  expect(errors).toEqual([]);
  expect(ask('getName', 'faulty').code).toBe(WRITE);
  expect(errors).toEqual([expect.stringContaining('internal error: Error: a fault of ours')]);
});

it('each request is counted by its name, and those of no name together', () => {
  ask('noop');
  ask('getName', 'a');
  for (const opcode of [0xfff0, 0xfff1]) send(opcode, Buffer.alloc(0));
  expect(counted).toEqual(['kcm noop', 'kcm getName', 'kcm unknown', 'kcm unknown']);
});

it('an answer may be as long as MIT’s client reads, and no byte longer', () => {
  const ccache = collection.create('a', 2, 'alice@R');
  const ofLength = (length: number) => ({
    ...credentialFor('host/a@R'),
    ticket: { type: 0, data: Buffer.alloc(length) },
  });
  const storeAndList = (length: number) => {
    const value = ofLength(length);
    collection.remove(
      ccache,
      [...ccache.contents.credentials].map(({ identifier }) => identifier),
    );
    collection.store(ccache, value, [], marshalled(fromCredentialV5(value)));
    return ask('getCredList', 'a');
  };
  const { length: overhead } = storeAndList(0);
  expect(storeAndList(MAX_REPLY - overhead)).toEqual({ code: 0, length: MAX_REPLY });
  expect(storeAndList(MAX_REPLY - overhead + 1).code).toBe(NOSUPP);
});
