// Random sequences of every message on several connections, against the plain reference beside this file.
import { setImmediate as nextTurn } from 'node:timers/promises';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { type MessageName, messages } from '../../../proto/ccapi.ts';
import { readReply, requestFrame } from '../../../proto/ccapi-codec.ts';
import { CCAPIError } from '../../../proto/errors.ts';
import { type Identifier, uninitialised } from '../../../proto/identifier.ts';
import { Collection } from '../../../server/model/collection.ts';
import { Identifiers } from '../../../server/model/identifiers.ts';
import { Iterators } from '../../../server/model/iterators.ts';
import { CCAPISession } from '../../../server/protocols/ccapi-session.ts';
import { credentialFor } from './model.ts';
import { Reference, type RefIterator, type RefReply } from './reference.ts';

const CONNECTIONS = 5;
const silent = {
  info() {},
  warning() {},
  error(line: string) {
    throw new Error(line);
  },
  refusal() {},
};

/** One step: a message, or the end of a connection, or time going by. Numbers choose among what there is then. */
interface Step {
  what: MessageName | 'disconnect' | 'tick';
  connection: number;
  one: number;
  other: number;
}

const steps = fc.array(
  fc.record<Step>({
    what: fc.oneof(
      { weight: 12, arbitrary: fc.constantFrom(...(Object.keys(messages) as MessageName[])) },
      { weight: 4, arbitrary: fc.constantFrom<MessageName>('contextCreateCCache', 'ccacheStoreCredentials') },
      {
        weight: 3,
        arbitrary: fc.constantFrom<MessageName>(
          'ccacheIteratorNext',
          'credentialsIteratorNext',
          'ccacheNewCredentialsIterator',
        ),
      },
      {
        weight: 8,
        arbitrary: fc.constantFrom<MessageName>(
          'contextLock',
          'ccacheLock',
          'contextWaitForChange',
          'ccacheWaitForChange',
        ),
      },
      { weight: 1, arbitrary: fc.constantFrom<Step['what']>('disconnect', 'tick') },
    ),
    connection: fc.nat(CONNECTIONS - 1),
    one: fc.nat(20),
    other: fc.nat(20),
  }),
  { minLength: 1, maxLength: 80, size: 'max' },
);

/** Every type there is and one that there is not, those most often that others can be granted beside. */
function lockType(number: number): number {
  return [0, 0, 0, 2, 2, 1, 3, 4][number % 8] as number;
}

/** The server and the reference side by side. */
class Pair {
  readonly reference = new Reference();
  readonly #collection = new Collection(new Identifiers(), () => this.reference.clock);
  readonly #iterators = new Iterators(this.#collection);
  readonly #sessions = Array.from({ length: CONNECTIONS }, () => this.#connect());
  #replies: RefReply[] = [];
  /** Those that are gone too. */
  readonly #iteratorsEver: RefIterator[] = [];
  /** What the server calls the reference's objects. */
  readonly #known = new Map<string, Identifier>();

  async play(step: Step): Promise<void> {
    const { what, connection } = step;
    if (what === 'tick') {
      this.reference.clock += step.one * 10;
    } else if (what === 'disconnect') {
      this.reference.disconnect(connection);
      (this.#sessions[connection] as CCAPISession).close();
      this.#sessions[connection] = this.#connect();
    } else if (!this.reference.blocked(connection)) {
      // While a request waits, the further ones of its connection are kept back before they come this far.
      this.#ask(what, step);
    }
    // What the step has brought about is answered by then.
    await nextTurn();
    this.#compare(step);
  }

  #connect(): CCAPISession {
    return new CCAPISession(this.#collection, this.#iterators, silent);
  }

  #ask(name: MessageName, step: Step): void {
    const { object, request } = this.#decide(name, step);
    const session = this.#sessions[step.connection] as CCAPISession;
    const note = (reply: Buffer) => {
      this.#replies.push({ connection: step.connection, ...decoded(name, reply.subarray(4)) });
    };
    const reply = session.answer(requestFrame(name, object, request as never).subarray(4));
    if (reply instanceof Promise) reply.then(note);
    else note(reply);
  }

  /** Has the reference do what the message asks, and says what the server is to be sent for it. */
  #decide(
    name: MessageName,
    { connection, one, other }: Step,
  ): { object: Identifier; request: Record<string, unknown> } {
    const { reference } = this;
    const ok = (values: Record<string, unknown> = {}) => reference.reply(connection, 0, values);
    const fail = (code: number) => reference.reply(connection, code);
    const version = other % 5 === 0 ? 3 : 2;
    const principal = `user${one}@R`;
    const cacheName = ['x', 'y', '0', '1', 'Initial default ccache'][other % 5] as string;
    const last = one % 3 === 0 ? 0 : 0xffff_ffff;

    if (messages[name].object === 'context') {
      const object = one % 2 === 0 ? uninitialised : this.#collection.identifier;
      const created = (make: () => { id: string }) => (version === 2 ? ok({ ccache: make().id }) : fail(212));
      switch (name) {
        case 'contextUnusedRelease':
          ok();
          break;
        case 'contextSync':
          ok({ collection: 'collection' });
          break;
        case 'contextGetChangeTime':
          ok({ time: reference.changed });
          break;
        case 'contextGetDefaultCCacheName':
          ok({ name: reference.ccaches[0]?.name ?? 'Initial default ccache' });
          break;
        case 'contextOpenCCache': {
          const ccache = reference.ccaches.find((candidate) => candidate.name === cacheName);
          if (ccache) ok({ ccache: ccache.id });
          else fail(221);
          break;
        }
        case 'contextOpenDefaultCCache':
          if (reference.ccaches[0]) ok({ ccache: reference.ccaches[0].id });
          else fail(221);
          break;
        case 'contextCreateCCache':
          created(() => reference.create(cacheName, principal));
          break;
        case 'contextCreateDefaultCCache':
          created(() => reference.create(reference.ccaches[0]?.name ?? 'Initial default ccache', principal));
          break;
        case 'contextCreateNewCCache': {
          const unique = reference.uniqueName();
          created(() => reference.create(unique, principal));
          break;
        }
        case 'contextNewCCacheIterator': {
          const iterator = {
            id: reference.id('iterator'),
            owner: connection,
            list: 'collection' as const,
            queue: reference.ccaches.map(({ id }) => id),
          };
          this.#open(iterator);
          ok({ iterator: iterator.id });
          break;
        }
        case 'contextLock':
          reference.askLock(reference.lock, { connection, type: lockType(other) }, one % 4 !== 0, 214);
          break;
        case 'contextUnlock':
          reference.unlock(reference.lock, connection, 215);
          break;
        case 'contextWaitForChange':
          if (last < reference.changed) ok({ time: reference.changed });
          else reference.waiters.push(connection);
          break;
      }
      const block = one % 4 === 0 ? 0 : one;
      return { object, request: { name: cacheName, version, principal, last, type: lockType(other), block } };
    }

    if (messages[name].object === 'ccache') {
      const ccache = reference.ccaches[one % (reference.ccaches.length + 1)];
      if (!ccache) {
        fail(205);
        return { object: this.#unknown(one), request: this.#ccacheRequest(name, last, other, uninitialised) };
      }
      let argument = uninitialised;
      switch (name) {
        case 'ccacheDestroy':
          reference.destroy(ccache);
          ok();
          break;
        case 'ccacheSetDefault':
          reference.setDefault(ccache);
          ok();
          break;
        case 'ccacheGetCredentialsVersion':
          ok({ version: 2 });
          break;
        case 'ccacheGetName':
          ok({ name: ccache.name });
          break;
        case 'ccacheGetPrincipal':
          version === 2 ? ok({ principal: ccache.principal }) : fail(212);
          break;
        case 'ccacheSetPrincipal':
          if (version !== 2) {
            fail(212);
            break;
          }
          Object.assign(ccache, { principal: `p${other}@R`, offset: undefined });
          reference.ccacheChanged(ccache);
          ok();
          break;
        case 'ccacheStoreCredentials':
          reference.store(ccache, `s${other}@R`);
          ok();
          break;
        case 'ccacheRemoveCredentials': {
          // A credential of this ccache or of another; only those that an iterator has shown have a name on both sides.
          const shown = reference.ccaches
            .flatMap(({ credentials }) => credentials)
            .filter(({ id }) => this.#known.has(id));
          const credential = shown[other % (shown.length + 1)];
          argument = credential ? (this.#known.get(credential.id) as Identifier) : this.#unknown(other);
          if (credential && reference.remove(ccache, credential.id)) ok();
          else fail(207);
          break;
        }
        case 'ccacheNewCredentialsIterator': {
          const iterator = {
            id: reference.id('iterator'),
            owner: connection,
            list: ccache.credentials,
            queue: ccache.credentials.map(({ id }) => id),
          };
          this.#open(iterator);
          ok({ iterator: iterator.id });
          break;
        }
        case 'ccacheMove': {
          const source = reference.ccaches[other % (reference.ccaches.length + 1)];
          argument = source ? (this.#known.get(source.id) as Identifier) : this.#unknown(other);
          if (!source) fail(205);
          else if (source === ccache) fail(202);
          else {
            reference.move(source, ccache);
            ok();
          }
          break;
        }
        case 'ccacheLock':
          reference.askLock(ccache.lock, { connection, type: lockType(other) }, last === 0, 216);
          break;
        case 'ccacheUnlock':
          reference.unlock(ccache.lock, connection, 217);
          break;
        case 'ccacheGetLastDefaultTime':
          ccache.lastDefault === 0 ? fail(219) : ok({ time: ccache.lastDefault });
          break;
        case 'ccacheGetChangeTime':
          ok({ time: ccache.changed });
          break;
        case 'ccacheWaitForChange':
          if (last < ccache.changed) ok({ time: ccache.changed });
          else ccache.waiters.push(connection);
          break;
        case 'ccacheGetKDCTimeOffset':
          ccache.offset === undefined ? fail(226) : ok({ offset: ccache.offset });
          break;
        case 'ccacheSetKDCTimeOffset':
          ccache.offset = other;
          reference.ccacheChanged(ccache);
          ok();
          break;
        case 'ccacheClearKDCTimeOffset':
          ccache.offset = undefined;
          reference.ccacheChanged(ccache);
          ok();
          break;
      }
      return {
        object: this.#known.get(ccache.id) as Identifier,
        request: this.#ccacheRequest(name, last, other, argument),
      };
    }

    const overCCaches = messages[name].object === 'ccacheIterator';
    const ever = this.#iteratorsEver.filter(({ list }) => (list === 'collection') === overCCaches).reverse();
    const iterator = ever[one % (ever.length + 1)];
    if (!iterator) {
      const foreign = one % 2 === 1;
      fail(overCCaches ? (foreign ? 208 : 205) : 209);
      return { object: foreign ? { server: 'another', object: 'x' } : this.#unknown(one), request: {} };
    }
    if (!reference.iterators.includes(iterator)) {
      fail(overCCaches ? 205 : 209);
      return { object: this.#known.get(iterator.id) as Identifier, request: {} };
    }
    if (name.endsWith('Release')) {
      reference.iterators = reference.iterators.filter((candidate) => candidate !== iterator);
      ok();
    } else if (name.endsWith('Clone')) {
      const clone = { ...iterator, id: reference.id('iterator'), owner: connection, queue: [...iterator.queue] };
      this.#open(clone);
      ok({ iterator: clone.id });
    } else {
      const id = iterator.queue.shift();
      const credential = reference.ccaches
        .flatMap(({ credentials }) => credentials)
        .find((candidate) => candidate.id === id);
      if (id === undefined) fail(201);
      else if (overCCaches) ok({ ccache: id });
      else ok({ identifier: id, server: credential?.server });
    }
    return { object: this.#known.get(iterator.id) as Identifier, request: {} };
  }

  #ccacheRequest(name: MessageName, last: number, other: number, argument: Identifier): Record<string, unknown> {
    const onlyV5 = name.includes('KDC');
    const version = !onlyV5 && other % 5 === 0 ? 3 : 2;
    const block = last === 0 ? 1 : 0;
    const credentials = name === 'ccacheRemoveCredentials' ? argument : credentialFor(`s${other}@R`);
    return {
      version,
      principal: `p${other}@R`,
      credentials,
      source: argument,
      type: lockType(other),
      block,
      last,
      offset: other,
    };
  }

  #open(iterator: RefIterator): void {
    this.reference.iterators.push(iterator);
    this.#iteratorsEver.push(iterator);
  }

  #unknown(number: number): Identifier {
    return number % 2 === 0 ? uninitialised : { server: this.#collection.identifier.server, object: 'nothing' };
  }

  /** Both have answered the same connections the same, and call the same things by the same names. */
  #compare(step: Step): void {
    const order = (replies: RefReply[]) => [...replies].sort((a, b) => a.connection - b.connection);
    const [expected, actual] = [order(this.reference.replies), order(this.#replies)];
    this.reference.replies = [];
    this.#replies = [];
    for (const [index, { values }] of expected.entries()) this.#learn(values, actual[index]?.values ?? {});
    const translated = expected.map(({ values, ...rest }) => ({ ...rest, values: this.#translated(values) }));
    expect({ step, replies: actual }).toEqual({ step, replies: translated });
  }

  #learn(expected: Record<string, unknown>, actual: Record<string, unknown>): void {
    this.#known.set('collection', this.#collection.identifier);
    for (const [key, name] of Object.entries(expected)) {
      const isObject = ['ccache', 'iterator', 'identifier'].includes(key);
      if (isObject && !this.#known.has(name as string) && actual[key])
        this.#known.set(name as string, actual[key] as Identifier);
    }
  }

  #translated(values: Record<string, unknown>): Record<string, unknown> {
    const isObject = (key: string) => ['ccache', 'iterator', 'identifier', 'collection'].includes(key);
    return Object.fromEntries(
      Object.entries(values).map(([key, value]) => [key, isObject(key) ? this.#known.get(value as string) : value]),
    );
  }
}

function decoded(name: MessageName, payload: Buffer): { code: number; values: Record<string, unknown> } {
  try {
    const { credentials, ...values } = readReply(name, payload) as Record<string, unknown>;
    // Of a credential the service says which it is; its other fields are the codecs' concern.
    return {
      code: 0,
      values: credentials ? { ...values, server: (credentials as { server: string }).server } : values,
    };
  } catch (error) {
    if (!(error instanceof CCAPIError)) throw error;
    return { code: error.code, values: {} };
  }
}

it('answers every sequence as the reference does', async () => {
  await fc.assert(
    fc.asyncProperty(steps, async (sequence) => {
      const pair = new Pair();
      for (const step of sequence) await pair.play(step);
    }),
    { numRuns: 3000 },
  );
});
