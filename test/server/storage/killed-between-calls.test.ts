// The process is killed before each system call of each change: what the next worker finds is what was before the change, or
// what is after it, under the same identifiers; no secret of what is gone is left in the directory.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import type { CCAPIError } from '../../../proto/errors.ts';
import type { Identifier } from '../../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../../proto/krb5-credential.ts';
import type { CCache } from '../../../server/model/ccache.ts';
import { Collection } from '../../../server/model/collection.ts';
import { FileStorage } from '../../../server/storage/file-storage.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { credentialFor } from '../model/model.ts';

/** How many calls are let through yet; how many fail after that, and with which code. */
const left = vi.hoisted(() => ({
  calls: Number.POSITIVE_INFINITY,
  failures: Number.POSITIVE_INFINITY,
  code: undefined as string | undefined,
  wasKilled: false,
}));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const changing = [
    'openSync',
    'writeSync',
    'renameSync',
    'linkSync',
    'unlinkSync',
    'rmSync',
    'ftruncateSync',
  ] as const;
  const counted =
    (call: (...args: unknown[]) => unknown) =>
    (...args: unknown[]) => {
      if (left.calls-- > 0 || left.failures-- <= 0) return call(...args);
      left.wasKilled = true;
      throw Object.assign(new Error('killed'), { code: left.code });
    };
  return { ...fs, ...Object.fromEntries(changing.map((name) => [name, counted(fs[name] as never)])) };
});

const root = temporaryDirectory(memory);
let directories = 0;
let directory: string;

function open(at: string, sync = true): { collection: Collection; said: string[] } {
  const said: string[] = [];
  const say = (line: string) => void said.push(line);
  const storage = new FileStorage(at, sync, { info: say, warning: say, error: say, refusal: say });
  const { identifiers, kept } = storage.load(() => 1_700_000_000);
  const collection = new Collection(identifiers, () => 1_700_000_000);
  storage.attach(collection, kept);
  return { collection, said };
}

const seen = (collection: Collection) => ({
  server: collection.identifier.server,
  awaited: collection.awaitedDefault,
  ccaches: [...collection].map(
    ({ name, identifier, lastDefault, contents: { principal, kdcOffset, credentials } }) => ({
      ...{ name, identifier: identifier.object, lastDefault, principal, kdcOffset },
      tickets: [...credentials].map(({ identifier, value }) => [identifier.object, value.server]),
    }),
  ),
});

const secret = (service: string) => ({
  ...credentialFor(service),
  ticket: { type: 0, data: Buffer.from(`secret of ${service}.`) },
});

function prepared(sync = true): Collection {
  const { collection } = open(directory, sync);
  for (const name of ['a', 'b', 'c']) {
    const ccache = collection.create(name, 2, `${name}@R`);
    for (const i of [0, 1]) collection.store(ccache, secret(`${name}${i}@R`));
  }
  collection.awaitDefault('d');
  return collection;
}

const changes: Record<string, (collection: Collection, a: CCache, b: CCache) => void> = {
  create: (collection) => collection.create('e', 2, 'e@R'),
  'create of the awaited default': (collection) => collection.create('d', 2, 'd@R'),
  replace: (collection, _, b) => {
    const contents = collection.emptyContents('n@R');
    contents.credentials.append(secret('n0@R'));
    collection.replace(b.name, contents);
  },
  destroy: (collection, a) => collection.destroy(a),
  move: (collection, a, b) => collection.move(a, b),
  'move to a name': (collection, a) => collection.moveTo(a, 'c'),
  'move to a new name': (collection, _, b) => collection.moveTo(b, 'n'),
  'move of the default to a new name': (collection, a) => collection.moveTo(a, 'n'),
  default: (collection, _, b) => collection.setDefault(b),
  'default, of what is so': (collection, a) => collection.setDefault(a),
  await: (collection) => collection.awaitDefault('n'),
  'await none': (collection) => collection.awaitDefault(undefined),
  principal: (collection, a) => collection.setPrincipal(a, 2, 'p@R'),
  offset: (collection, a) => collection.setKDCOffset(a, 7),
  store: (collection, a) => collection.store(a, secret('n@R')),
  'store in the place of two': (collection, a) => collection.store(a, secret('n@R'), [...a.contents.credentials]),
  remove: (collection, a) =>
    collection.remove(
      a,
      [...a.contents.credentials].map(({ identifier }) => identifier),
    ),
};

it.each(Object.entries(changes))('%s', (_, change) => {
  let wasKilled = true;
  for (let calls = 0; wasKilled; calls++) {
    directory = `${root}/${directories++}`;
    const collection = prepared();
    const [before, time] = [seen(collection), collection.changed];
    const [a, b] = collection as unknown as [CCache, CCache];
    Object.assign(left, { calls, wasKilled: false });
    let isAcknowledged = true;
    try {
      change(collection, a, b);
    } catch {
      isAcknowledged = false;
    } finally {
      left.calls = Number.POSITIVE_INFINITY;
    }
    wasKilled = left.wasKilled;
    // The next worker is killed before each of its own calls, too.
    let wasKilledAgain = true;
    for (let more = 0; wasKilledAgain; more++) {
      Object.assign(left, { calls: more, wasKilled: false });
      try {
        open(directory);
      } catch {
        // It is killed.
      } finally {
        left.calls = Number.POSITIVE_INFINITY;
      }
      wasKilledAgain = left.wasKilled;
    }
    const { collection: found, said } = open(directory);
    if (isAcknowledged) expect(seen(found), `${calls} calls`).toEqual(seen(collection));
    else {
      const isBefore = JSON.stringify(seen(found)) === JSON.stringify(before);
      if (!isBefore) expect(outcomes(seen(found)), `${calls} calls`).toEqual(outcomes(after(change)));
    }
    expect(found.changed).toBeGreaterThanOrEqual(isAcknowledged ? collection.changed : time);
    expect(said.filter((line) => !/half-written/.test(line))).toEqual([]);
    const tickets = [...found].flatMap(({ contents }) => [...contents.credentials].map(({ value }) => value.server));
    const files = readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`, 'latin1'));
    const secrets = [...files.join().matchAll(/secret of (\w+@R)\./g)].map(([, service]) => service);
    expect(secrets.sort(), `${calls} calls`).toEqual(tickets.sort());
    expect(
      readdirSync(directory)
        .filter((name) => !name.startsWith('tkt'))
        .sort(),
    ).toEqual(['collection', 'primary']);
    const primary = readFileSync(`${directory}/primary`, 'utf8').trim();
    expect(readFileSync(`${directory}/${primary}`, 'latin1')).toContain(`"name":"${found.default?.name}"`);
  }
});

it('what could not be overwritten when it was removed is so at the next start', () => {
  let hasFailed = true;
  for (let calls = 0; hasFailed; calls++) {
    directory = `${root}/${directories++}`;
    const collection = prepared();
    const [a] = collection as unknown as [CCache];
    const [first, second] = [...a.contents.credentials].map(({ identifier }) => identifier);
    Object.assign(left, { calls, failures: 1, code: 'EIO', wasKilled: false });
    let isAcknowledged = true;
    try {
      collection.remove(a, [first as Identifier]);
    } catch {
      isAcknowledged = false;
    }
    hasFailed = left.wasKilled;
    Object.assign(left, { calls: Number.POSITIVE_INFINITY, failures: Number.POSITIVE_INFINITY, code: undefined });
    collection.remove(a, [second as Identifier]);
    expect(seen(open(directory).collection)).toEqual(seen(collection));
    const files = readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`, 'latin1'));
    expect(files.join().includes('secret of a0@R.'), `${calls} calls`).toBe(!isAcknowledged);
    expect(files.join()).not.toContain('secret of a1@R.');
  }
});

it.each([
  ['ENOSPC', true],
  ['EIO', false],
])('where the collection file cannot be replaced for %s it is overwritten in its place: %s', (code, isDone) => {
  let hasFailed = true;
  for (let calls = 0; hasFailed; calls++) {
    directory = `${root}/${directories++}`;
    // Without waiting for the medium: a name that is there already is not taken back where that fails.
    const collection = prepared(false);
    const before = readFileSync(`${directory}/collection`);
    Object.assign(left, { calls, failures: 1, code, wasKilled: false });
    let error: unknown;
    try {
      collection.awaitDefault('n');
    } catch (thrown) {
      error = thrown;
    }
    hasFailed = left.wasKilled;
    Object.assign(left, { calls: Number.POSITIVE_INFINITY, failures: Number.POSITIVE_INFINITY, code: undefined });
    const isRefused = hasFailed && !isDone;
    expect((error as CCAPIError | undefined)?.name, `${calls} calls`).toBe(isRefused ? 'ccErrNoMem' : undefined);
    expect(readFileSync(`${directory}/collection`).equals(before)).toBe(isRefused);
    expect([collection.awaitedDefault, open(directory).collection.awaitedDefault]).toEqual(
      isRefused ? ['d', 'd'] : ['n', 'n'],
    );
  }
});

describe.each([false, true])('where one call fails, and the worker goes on (sync: %s)', (sync) => {
  it.each(Object.entries(changes))('%s', (_, change) => {
    let hasFailed = true;
    for (let calls = 0; hasFailed; calls++) {
      directory = `${root}/${directories++}`;
      const collection = prepared(sync);
      const before = seen(collection);
      const [a, b] = collection as unknown as [CCache, CCache];
      Object.assign(left, { calls, failures: 1, code: 'EMFILE', wasKilled: false });
      let isAcknowledged = true;
      try {
        change(collection, a, b);
      } catch {
        isAcknowledged = false;
      }
      hasFailed = left.wasKilled;
      Object.assign(left, { calls: Number.POSITIVE_INFINITY, failures: Number.POSITIVE_INFINITY, code: undefined });
      if (!isAcknowledged) expect(seen(collection)).toEqual(before);
      collection.store(collection.findByName('c') as CCache, secret('later@R'));
      for (const ccache of [...collection]) collection.store(ccache, secret(`${ccache.name}-later@R`));
      expect(seen(open(directory, sync).collection), `${calls} calls`).toEqual(seen(collection));
    }
  });
});

it('the next worker, while it cuts off a half-written end', () => {
  for (let calls = 0, wasKilled = true; wasKilled; calls++) {
    directory = `${root}/${directories++}`;
    const before = seen(prepared());
    const file = `${directory}/tkt1`;
    const whole = readFileSync(file);
    const record = marshalled(fromCredentialV5(secret('torn@R')));
    writeFileSync(file, Buffer.concat([whole, record.subarray(0, -1)]));
    Object.assign(left, { calls, wasKilled: false });
    try {
      open(directory);
    } catch {
      // It is killed.
    } finally {
      left.calls = Number.POSITIVE_INFINITY;
    }
    wasKilled = left.wasKilled;
    const { collection } = open(directory);
    expect(seen(collection), `${calls} calls`).toEqual(before);
    expect(readFileSync(file).equals(whole)).toBe(true);
  }
});

/** What a change makes of the same collection where it is let be. */
function after(change: (collection: Collection, a: CCache, b: CCache) => void) {
  directory = `${root}/${directories++}`;
  const collection = prepared();
  const [a, b] = collection as unknown as [CCache, CCache];
  change(collection, a, b);
  return seen(collection);
}

/** Without the server's part and the seed, which differ from directory to directory. */
function outcomes({ ccaches, awaited }: ReturnType<typeof seen>) {
  const withoutSeed = (object: string) => object.slice(8);
  return {
    awaited,
    ccaches: ccaches.map((ccache) => ({
      ...ccache,
      identifier: withoutSeed(ccache.identifier),
      tickets: ccache.tickets.map(([object = '', service]) => [withoutSeed(object), service]),
    })),
  };
}
