// The process is killed before each system call of each change: what the next worker finds is what was before the change, or
// what is after it, under the same identifiers; no secret of what is gone is left in the directory.

import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { expect, it, vi } from 'vitest';
import type { CCAPIError } from '../../../proto/errors.ts';
import type { Identifier } from '../../../proto/identifier.ts';
import { fromCredentialV5, marshalled } from '../../../proto/krb5-credential.ts';
import type { CCache } from '../../../server/model/ccache.ts';
import type { Collection } from '../../../server/model/collection.ts';
import { memory, temporaryDirectory } from '../../setup/cleanup.ts';
import { changes, open, prepare, secret, secretsIn, seen, servicesOf } from './changes.ts';

/** How many calls are let through yet; how many fail after that, and with which code. */
const left = vi.hoisted(() => ({
  calls: Number.POSITIVE_INFINITY,
  failures: Number.POSITIVE_INFINITY,
  code: undefined as string | undefined,
  wasKilled: false,
}));

vi.mock('node:fs', async (original) => {
  const fs = await original<typeof import('node:fs')>();
  const { changing } = await import('./failing-fs.ts');
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

it.each(Object.entries(changes))('%s', (_, change) => {
  let wasKilled = true;
  for (let calls = 0; wasKilled; calls++) {
    directory = `${root}/${directories++}`;
    const collection = prepare(directory);
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
    const files = readdirSync(directory).map((name) => readFileSync(`${directory}/${name}`, 'latin1'));
    expect(secretsIn(files), `${calls} calls`).toEqual(servicesOf(found));
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
    const collection = prepare(directory);
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
    const collection = prepare(directory, false);
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

it('the next worker, while it cuts off a half-written end', () => {
  for (let calls = 0, wasKilled = true; wasKilled; calls++) {
    directory = `${root}/${directories++}`;
    const before = seen(prepare(directory));
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
  const collection = prepare(directory);
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
